import * as kernels from '../../../src/training/kernels.generated.ts';
import { paddedRows, poison } from '../../support/random.ts';
import { linear } from '../../training/twins/linear.ts';
import { lstm, lstmBackward } from '../../training/twins/lstm.ts';
import type { Numbers } from '../../training/twins/numbers.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { byUnit, frameByFrame, overwritten } from './layouts.ts';
import { describeProduct } from './ways.ts';

interface Shape {
  utterances: number;
  frames: number;
  units: number;
  /** Of h; without a projection as many as units. */
  width: number;
  isProjected: boolean;
}

/** More units and elements of h than a block of 64 has, with padding and without, and utterances that fill no tile. */
const SHAPES: readonly Shape[] = [
  { utterances: 1, frames: 2, units: 1, width: 1, isProjected: true },
  { utterances: 5, frames: 3, units: 70, width: 133, isProjected: true },
  { utterances: 3, frames: 3, units: 132, width: 72, isProjected: true },
];
const NOT_PROJECTED: readonly Shape[] = [
  { utterances: 1, frames: 2, units: 1, width: 1, isProjected: false },
  { utterances: 5, frames: 3, units: 37, width: 37, isProjected: false },
];

/** A matrix (rows, width) with its padding, scaled to its inputs. */
function paddedMatrix(rows: number, width: number, seed: number): Float32Array<ArrayBuffer> {
  const matrix = new Float32Array(padded(rows) * padded(width));
  matrix.set(paddedRows(rows, width, padded(width), seed, 1 / Math.sqrt(width)));
  return matrix;
}

/** What the four gates have, one after the other. */
const ofGates = (ofGate: (gate: number) => Float32Array) =>
  Float32Array.from([0, 1, 2, 3].flatMap((gate) => Array.from(ofGate(gate))));

/** An LSTM over whole utterances, forwards and backwards, as kernels have it. */
function sequencesOf(shape: Shape) {
  const { utterances, frames, units, width, isProjected } = shape;
  const [hidden, proj] = [padded(units), padded(width)];
  const sizes = { batch: utterances, frames, width: proj, hidden, proj };
  const rows = utterances * frames;
  const bias = (seed: number) => ofGates((gate) => paddedRows(1, units, hidden, seed + gate));
  const weights = {
    weightIh: ofGates((gate) => paddedMatrix(units, width, 11 + gate)),
    weightHh: ofGates((gate) => paddedMatrix(units, width, 21 + gate)),
    biasIh: bias(31),
    biasHh: bias(41),
    ...(isProjected && { weightHr: paddedMatrix(width, units, 51) }),
  };
  const input = { x: paddedRows(rows, width, proj, 61, 3), weight: weights.weightIh, bias: weights.biasIh };
  const saved = lstm({ ...weights, x: input.x }, sizes);
  const dout = paddedRows(rows, width, proj, 62);
  const { dz, dh, dcBefore } = lstmBackward({ ...weights, x: input.x, saved, dout }, sizes);
  const sequence = (values: Numbers) => new Sequence(frameByFrame(values, shape), frames);
  const gates = (values: Numbers) => new Sequence(byUnit(frameByFrame(values, shape), hidden), frames);
  return {
    name: `${utterances} utterances, ${units} units, ${isProjected ? '' : 'not '}projected to ${width}`,
    utterances,
    hidden,
    proj,
    isProjected,
    weightHh: Float32Array.from(byUnit(weights.weightHh, hidden, proj)),
    biasHh: Float32Array.from(byUnit(weights.biasHh, hidden)),
    // Without a projection it is not read.
    weightHr: weights.weightHr ?? poison(4),
    gatesX: gates(linear(input, { rows, inputs: proj, outputs: 4 * hidden })),
    gates: gates(saved.gates),
    h: sequence(saved.h),
    c: sequence(saved.c),
    m: sequence(saved.m),
    dout: sequence(dout),
    dz: gates(dz),
    dh: sequence(dh),
    dcBefore: sequence(dcBefore),
    step: words(utterances, frames),
  };
}

/** Values of all frames, of which a kernel finds some. */
class Sequence {
  readonly #values: Float64Array;
  readonly #frameLength: number;

  constructor(values: Float64Array, frames: number) {
    this.#values = values;
    this.#frameLength = values.length / frames;
  }

  /** Of one frame; past the last one there are none. */
  of(frame: number): Float64Array {
    return this.#values.subarray(frame * this.#frameLength, (frame + 1) * this.#frameLength);
  }

  /** A buffer with these frames; the others, and one behind the last, are poison. */
  only(...frames: readonly number[]): Float32Array<ArrayBuffer> {
    const buffer = poison(this.#values.length + this.#frameLength);
    for (const frame of frames.filter((each) => each >= 0)) {
      buffer.set(this.of(frame), frame * this.#frameLength);
    }
    return buffer;
  }

  /** What a kernel leaves in a buffer where it writes one frame. */
  writtenTo(buffer: Numbers, frame: number): Float64Array {
    return overwritten(buffer, this.of(frame), frame * this.#frameLength);
  }
}

/** A case for each frame of each shape. @param last the last frame */
const ofFrames = <Case>(
  shapes: readonly Shape[],
  framesOf: (last: number) => readonly number[],
  caseOf: (sequences: ReturnType<typeof sequencesOf>, frame: number) => Case,
) =>
  shapes.flatMap((shape) => {
    const sequences = sequencesOf(shape);
    return [...new Set(framesOf(shape.frames - 1))].map((frame) => ({
      ...caseOf(sequences, frame),
      name: `${sequences.name}, frame ${frame}`,
    }));
  });

const isSmallest = ({ name }: { name: string }) => name.startsWith('1 utterance');

const cells = ofFrames(
  SHAPES,
  (last) => [last, 0],
  ({ utterances, hidden, proj, weightHh, biasHh, gatesX, gates, h, c, m, step }, frame) => {
    const given = { gates: gatesX.only(frame), c: c.only(frame - 1), m: m.only() };
    return {
      overrides: { in_vec4s: proj / 4, out_vec4s: hidden },
      rows: utterances,
      columns: proj / 4,
      buffers: { ...given, weight: weightHh, bias: biasHh, h: h.only(frame - 1), step, at: words(0, frame) },
      expected: {
        gates: gates.writtenTo(given.gates, frame),
        c: c.writtenTo(given.c, frame),
        m: m.writtenTo(given.m, frame),
      },
    };
  },
);
describeProduct(
  { buffer: kernels.lstmCell, texels: kernels.lstmCellTexels, quads: kernels.lstmCellQuads },
  cells,
  isSmallest,
);

const projections = ofFrames(
  SHAPES,
  (last) => [last],
  ({ utterances, hidden, proj, weightHr, h, m, step }, frame) => {
    const given = h.only();
    return {
      overrides: { in_vec4s: hidden / 4, out_vec4s: proj / 4 },
      rows: utterances,
      columns: hidden / 4,
      buffers: { weight: weightHr, m: m.only(frame), h: given, step, at: words(0, frame) },
      expected: { h: h.writtenTo(given, frame) },
    };
  },
);
describeProduct(
  { buffer: kernels.lstmProjection, texels: kernels.lstmProjectionTexels, quads: kernels.lstmProjectionQuads },
  projections,
  isSmallest,
);

describeKernel(
  kernels.lstmCarry,
  ofFrames(
    NOT_PROJECTED,
    (last) => [last],
    ({ utterances, proj, h, m, step }, frame) => {
      const given = h.only();
      return {
        overrides: { vec4s: proj / 4 },
        buffers: { m: m.only(frame), h: given, step, at: words(0, frame) },
        workgroups: [ceilDiv((utterances * proj) / 4, 32), 1, 1] as const,
        expected: { h: h.writtenTo(given, frame) },
      };
    },
  ),
);

describeProduct(
  {
    buffer: kernels.lstmOutputGradient,
    texels: kernels.lstmOutputGradientTexels,
    quads: kernels.lstmOutputGradientQuads,
  },
  ofFrames(
    SHAPES,
    (last) => [last - 1],
    ({ utterances, hidden, proj, weightHh, dout, dh, dz, step }, frame) => {
      const given = dout.only(frame);
      return {
        overrides: { in_vec4s: hidden, out_vec4s: proj / 4 },
        rows: utterances,
        columns: proj / 4,
        buffers: { weight: weightHh, dz: dz.only(frame + 1), dh: given, step, at: words(0, frame) },
        expected: { dh: dh.writtenTo(given, frame) },
      };
    },
  ),
);

const cellGradients = ofFrames(
  SHAPES,
  (last) => [0, last, 1],
  ({ utterances, hidden, proj, weightHr, step, ...rest }, frame) => {
    const { buffers, expected } = throughCell({ utterances, hidden, ...rest }, frame);
    return {
      overrides: { in_vec4s: proj / 4, out_vec4s: hidden / 4 },
      rows: utterances,
      columns: hidden / 4,
      buffers: { ...buffers, weight: weightHr, step, at: words(0, frame) },
      expected,
    };
  },
);
describeProduct(
  {
    buffer: kernels.lstmCellGradient,
    texels: kernels.lstmCellGradientTexels,
    quads: kernels.lstmCellGradientQuads,
  },
  cellGradients,
  isSmallest,
);

const carryGradients = ofFrames(
  NOT_PROJECTED,
  (last) => [0, last, 1],
  ({ utterances, hidden, step, ...rest }, frame) => {
    const { buffers, expected } = throughCell({ utterances, hidden, ...rest }, frame);
    return {
      overrides: { vec4s: hidden / 4 },
      buffers: { ...buffers, step, at: words(0, frame) },
      workgroups: [ceilDiv((utterances * hidden) / 4, 32), 1, 1] as const,
      expected,
    };
  },
);
describeKernel(kernels.lstmCarryGradient, carryGradients, { raced: carryGradients.filter(isSmallest) });

/** What the way back through the cell is given, and what it leaves. */
function throughCell(
  {
    utterances,
    hidden,
    gates,
    c,
    dh,
    dz,
    dcBefore,
  }: Pick<ReturnType<typeof sequencesOf>, 'utterances' | 'hidden' | 'gates' | 'c' | 'dh' | 'dz' | 'dcBefore'>,
  frame: number,
) {
  const given = { gates: gates.only(frame), carried: poison((utterances + 1) * hidden) };
  given.carried.set(dcBefore.of(frame + 1));
  return {
    buffers: { ...given, dh: dh.only(frame), c: c.only(frame - 1, frame) },
    expected: { gates: dz.writtenTo(given.gates, frame), carried: overwritten(given.carried, dcBefore.of(frame)) },
  };
}
