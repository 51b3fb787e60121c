import { encoderFrames, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { CONV_TIMES } from '../webgpu/buffers.ts';
import { padded } from '../webgpu/weights.ts';
import { rowsOf, type Room } from './operations.ts';
import type { Precision } from './precision.ts';

/** What is within a layer on its way forward, in the network's precision; rows are frame by frame, the utterances of each side by side. */
interface WithinLayer<Buffer> {
  /** (rows, hidden, 4) i f g o; on the way back in f32 their gradients take their place. */
  gates: Buffer;
  /** (rows, hidden, 4) those gradients; in f16 all layers share them. */
  dz: Buffer;
  /** (rows, hidden) in f32 always. */
  c: Buffer;
  /** (rows, hidden) what is projected; in f32 always, since units write it one by one. */
  m: Buffer;
  /** (rows, d) */
  h: Buffer;
  /** (rows, d) behind the LSTM. */
  x1: Buffer;
  /** (rows, ff) before DoubleSwish. */
  a: Buffer;
  /** (rows, d) behind the feed-forward. */
  x2: Buffer;
}

/** What a layer keeps of its way forward for the way back. */
export interface LayerActivations<Buffer = GPUBuffer> extends WithinLayer<Buffer> {
  /** (rows, d) the layer's input. */
  x: Buffer;
  /** Dropout masks, a bit for each element. */
  masks: { lstm: Buffer; ffInner: Buffer; ff: Buffer };
}

/** Everything that a batch needs beside the parameters; in f32, where nothing else is said. */
export interface Activations<Buffer = GPUBuffer> {
  /** (times, utterances, freqs, 1 padded to 4) */
  features: Buffer;
  /** Of each convolution, before and behind its DoubleSwish: (times, utterances, freqs, channels). */
  convs: readonly { z: Buffer; y: Buffer; dz: Buffer }[];
  /** Those of layers whose inner values are not kept share them. */
  layers: readonly LayerActivations<Buffer>[];
  /** (rows, d) before the embedding's norm. */
  embed: Buffer;
  /** (rows, d) the input of the first layer that runs, before it is kept: the same as its `x`, if that is in f32. */
  input: Buffer;
  /** (rows, d) the last layer's output, in the network's precision. */
  out: Buffer;
  /** (rows, d) the encoder's output. */
  encoderOut: Buffer;
  /** Its dropout mask, for a head that has it. */
  headMask: Buffer;
  /** (layers + 1) how much of each layer counts; 1 for the embedding. */
  alpha: Buffer;
  /** (rows, combined layers) */
  combineWeights: Buffer;
  /**
   * What lives within one layer: (rows, ff), (rows, d) twice, (rows, d), (utterances, hidden), (rows) vec4s. Of these `u`, and
   * `branch` on the way forward, are in the network's precision.
   */
  u: Buffer;
  du: Buffer;
  branch: Buffer;
  dEncoderOut: Buffer;
  dOut: Buffer;
  dX2: Buffer;
  dh: Buffer;
  dc: Buffer;
  dEps: Buffer;
}

/** What of a network runs, and what of it is kept. */
export interface Keeping {
  /** The first layer that runs; without it features come in, and all run. */
  from?: number;
  /** The lowest layer that is trained; -1 where the embedding is. Nothing below it is kept. */
  lowest: number;
  /** Whether of the layers from there on only the input is kept, and the rest is computed once more on the way back. */
  recompute: boolean;
  /** Whether there is dropout. */
  hasDropout: boolean;
  /** How many layers RandomCombine combines. */
  combined: number;
  /** How layers keep what the way back reads; f32 by default. */
  precision?: Precision;
}

/** Encoder frames of the longest of some utterances. @param lens feature frames of each */
export const longestFrames = (lens: readonly number[]) => Math.max(...lens.map(encoderFrames));

/** @param make how a buffer of so many floats is made */
export function createActivations<Buffer>(
  make: (label: string, floats: number) => Buffer,
  sizes: EncoderSizes,
  room: Room,
  keeping: Keeping,
): Activations<Buffer> {
  const { numFeatures, channels, numEncoderLayers } = sizes;
  const { from, lowest, recompute, hasDropout, combined, precision = 'f32' } = keeping;
  const first = from ?? 0;
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(padded);
  const { utterances } = room;
  const rows = rowsOf(room);
  const timesOf = ({ perFrame, extra }: (typeof CONV_TIMES)[number]) => perFrame * rows + extra * utterances;
  const freqs = subsampledFreqs(numFeatures);
  const masksOf = (name: string, rows: number) => {
    const mask = (label: string, width: number) => make(`${label} mask${name}`, Math.ceil((rows * width) / 32));
    return { lstm: mask('lstm', d), ffInner: mask('ff inner', ff), ff: mask('ff', d) };
  };
  const isHalf = precision === 'f16';
  const keep = (label: string, width: number) => make(label, (rows * width) / (isHalf ? 2 : 1));
  const sharedDz = isHalf && lowest < numEncoderLayers ? make('gradient of gates', rows * 4 * hidden) : undefined;
  const within = (name: string): WithinLayer<Buffer> => {
    const gates = keep(`gates${name}`, 4 * hidden);
    return {
      ...{ gates, dz: sharedDz ?? gates },
      c: make(`c${name}`, rows * hidden),
      m: make(`m${name}`, rows * hidden),
      h: keep(`h${name}`, d),
      x1: keep(`x1${name}`, d),
      a: keep(`a${name}`, ff),
      x2: keep(`x2${name}`, d),
    };
  };
  const shared = lowest > first || recompute ? within('') : undefined;
  const sharedXs = lowest > first ? [keep('x', d), keep('x', d)] : undefined;
  const ran = Array.from({ length: numEncoderLayers - first }, (_, i): LayerActivations<Buffer> => {
    const name = ` of layer ${first + i}`;
    const isKept = first + i >= lowest;
    return {
      ...((!isKept || recompute ? shared : undefined) ?? within(name)),
      x: (isKept ? undefined : sharedXs?.[i % 2]) ?? keep(`x${name}`, d),
      masks: masksOf(name, hasDropout ? rows : 0),
    };
  });
  // Layers that do not run have nothing of their own.
  const layers = [...new Array<LayerActivations<Buffer>>(first).fill(ran[0]), ...ran];
  const embeds = from === undefined;
  const branch = make('branch', rows * d);
  return {
    features: make('features', embeds ? (4 * rows + 5 * utterances) * numFeatures * 4 : 0),
    convs: CONV_TIMES.map((times, i) => {
      const count = embeds ? timesOf(times) * freqs[i] * padded(channels[i]) : 0;
      return { z: make(`z${i}`, count), y: make(`y${i}`, count), dz: make(`dz${i}`, lowest < 0 ? count : 0) };
    }),
    layers,
    embed: make('embedding', embeds ? rows * d : 0),
    input: isHalf ? branch : ran[0].x,
    out: keep('output of the last layer', d),
    encoderOut: make('encoder_out', rows * d),
    headMask: make('head mask', hasDropout ? Math.ceil((rows * d) / 32) : 0),
    alpha: make('alpha', numEncoderLayers + 1),
    combineWeights: make('combine weights', rows * combined),
    u: keep('u', ff),
    du: make('gradient of u', rows * ff),
    branch,
    dEncoderOut: make('gradient of encoder_out', rows * d),
    dOut: make('gradient of x', rows * d),
    dX2: make('gradient of x2', rows * d),
    dh: make('gradient of h', rows * d),
    dc: make('gradient of c', utterances * hidden),
    dEps: make('gradient of eps', 4 * rows),
  };
}

/** Bytes of a batch's activations; those of the loss are not among them. */
export function activationBytes(sizes: EncoderSizes, room: Room, keeping: Keeping): number {
  let bytes = 0;
  const count = (_: string, floats: number) => {
    bytes += 4 * floats;
  };
  createActivations(count, sizes, room, keeping);
  return bytes;
}
