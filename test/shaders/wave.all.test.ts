import type { WeightDtype } from '../../src/model/dtypes.ts';
import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { packLayers } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';
import type { Lane } from './twins.ts';

const SLOTS = 7;
const LAYERS = 4;
/** Threads along the outputs of a workgroup. */
const OUTPUTS = 8;

/**
 * One layer and lane; several, of which one is at a frame that some lanes do not have, lanes that fill no tile, and a sum of
 * more blocks than there are threads for.
 */
const SMALLEST = { at: { layer: 1, frame: 0, waveLayers: 1 }, units: 1, width: 1, lanes: [[3, 1]] as Lane[], then: {} };
const ODD = {
  at: { layer: 1, frame: 2, waveLayers: 3 },
  units: 70,
  width: 530,
  lanes: [
    [5, 3],
    [1, 2],
    [6, 3],
    [0, 1],
    [3, 3],
  ] as Lane[],
  then: { doubleSwish: true, accumulate: true },
};
const PACKED = { ...ODD, width: 50, lanes: ODD.lanes.slice(0, 2) };

const of = (
  { at, lanes, units, width, then }: typeof SMALLEST | typeof ODD,
  tile: number,
  dtype: WeightDtype,
  seed: number,
) => ({
  name: `tile ${tile}, ${dtype}, ${lanes.length} lanes, ${at.waveLayers} layers, ${units} units`,
  tile,
  dtype,
  lanes,
  units,
  width,
  then: then as { doubleSwish?: boolean; accumulate?: boolean },
  step: { lanes: lanes.length, frames: 3 },
  sizes: { hidden: padded(units), proj: padded(width), layers: LAYERS, width, ...at },
  seed,
});
const CASES = [
  of(SMALLEST, 1, 'f32', 171),
  of(SMALLEST, 4, 'f32', 171),
  of(ODD, 1, 'f32', 181),
  of(ODD, 4, 'f32', 181),
  of(PACKED, 4, 'f16', 191),
  of(PACKED, 4, 'int8', 191),
];
type Case = (typeof CASES)[number];

const common = ({ lanes, step, sizes }: Case) => ({
  lanes: words(...lanes.flat()),
  step: words(step.lanes, step.frames),
  at: words(sizes.layer, sizes.frame),
});

const workgroups = ({ lanes, tile, sizes }: Case, outputs: number) =>
  [ceilDiv(outputs, OUTPUTS), ceilDiv(lanes.length, tile), sizes.waveLayers] as const;

/** A matrix of every layer, (inputs, outputs) each, padded; outputs may come in groups of which some are padding. */
const matrices = ({ dtype }: Case, [inputs, ins]: number[], [outputs, outs]: number[], seed: number) =>
  packLayers(
    Array.from({ length: LAYERS }, (_, l) =>
      paddedRows(ins, outputs, outs, seed + 100 * l, 1 / Math.sqrt(inputs)).map((value, i) =>
        i < inputs * outs ? value : 0,
      ),
    ),
    ins,
    outs,
    dtype,
  );

describeKernel(
  kernels.lstmCellWave,
  CASES.map((each) => {
    const { name, tile, lanes, units, width, step, sizes, seed } = each;
    const { hidden, proj } = sizes;
    const gates = [4 * units, 4 * hidden];
    const [ih, hh] = [seed, seed + 1].map((own) => matrices(each, [width, proj], gates, own));
    const vectors = new Float32Array(LAYERS * 4 * (1 + 3 * hidden));
    for (let l = 0; l < LAYERS; l++) {
      const start = l * 4 * (1 + 3 * hidden);
      vectors[start] = 0.1 + 0.2 * l;
      vectors.set(paddedRows(1, 4 * units, 4 * hidden, seed + 2 + l, 2), start + 4);
      vectors.set(ih.scale.subarray(l * 4 * hidden, (l + 1) * 4 * hidden), start + 4 * (1 + hidden));
      vectors.set(hh.scale.subarray(l * 4 * hidden, (l + 1) * 4 * hidden), start + 4 * (1 + 2 * hidden));
    }
    const buffers = {
      ...common(each),
      weight_ih: ih.weight,
      weight: hh.weight,
      vectors,
      x: paddedRows(step.lanes * step.frames, width, proj, seed + 7, 3),
      h: paddedRows(SLOTS * LAYERS, width, proj, seed + 8),
      c: paddedRows(SLOTS * LAYERS, units, hidden, seed + 9, 3),
      m: poison(step.lanes * step.frames * (hidden + 4)),
    };
    return {
      name,
      overrides: { tile, weight_bits: ih.bits, width, in_vec4s: proj / 4, out_vec4s: hidden, layers: LAYERS },
      buffers,
      workgroups: workgroups(each, hidden),
      expected: {
        ...twins.lstmCellWave({ ...buffers, weightIh: ih.values, weightHh: hh.values, lanes }, step, sizes),
      },
    };
  }),
);

describeKernel(
  kernels.lstmProjectionWave,
  CASES.map((each) => {
    const { name, tile, lanes, units, width, step, sizes, seed } = each;
    const { hidden, proj } = sizes;
    const packed = matrices(each, [units, hidden], [width, proj], seed);
    const buffers = {
      ...common(each),
      weight: packed.weight,
      scale: packed.scale,
      m: paddedRows(step.lanes * step.frames, hidden + 1, hidden + 4, seed + 1),
      h: paddedRows(SLOTS * LAYERS, width, proj, seed + 2),
      x: paddedRows(step.lanes * step.frames, width, proj, seed + 3),
    };
    return {
      name,
      overrides: { tile, weight_bits: packed.bits, in_vec4s: hidden / 4, out_vec4s: proj / 4, layers: LAYERS },
      buffers,
      workgroups: workgroups(each, proj / 4),
      expected: { ...twins.lstmProjectionWave({ ...buffers, weightHr: packed.values, lanes }, step, sizes) },
    };
  }),
);

describeKernel(
  kernels.linearWave,
  CASES.map((each) => {
    const { name, tile, units, width, step, sizes, seed, then } = each;
    const [inputs, outputs] = [padded(width), padded(units)];
    const packed = matrices(each, [width, inputs], [units, outputs], seed);
    const rows = step.lanes * step.frames;
    const { at, step: stepWords } = common(each);
    const buffers = {
      at,
      step: stepWords,
      weight: packed.weight,
      scale: packed.scale,
      bias: paddedRows(LAYERS, units, outputs, seed + 1),
      x: paddedRows(rows, width, inputs, seed + 2),
      y: then.accumulate ? paddedRows(rows, units, outputs, seed + 3) : poison(rows * outputs),
    };
    const overrides = {
      tile,
      weight_bits: packed.bits,
      in_vec4s: inputs / 4,
      out_vec4s: outputs / 4,
      is_swished: Number(then.doubleSwish ?? false),
      accumulate: Number(then.accumulate ?? false),
    };
    const extent = { ...sizes, inputs, outputs };
    return {
      name: `${name}, ${JSON.stringify(then)}`,
      overrides,
      buffers,
      workgroups: workgroups(each, outputs / 4),
      expected: { y: twins.linearWave({ ...buffers, weight: packed.values }, step, extent, then) },
    };
  }),
);
