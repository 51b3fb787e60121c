import { encoderFrames, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { CONV_TIMES, timesOf } from '../webgpu/buffers.ts';
import type { BufferScope } from '../webgpu/device/context.ts';
import { padded } from '../webgpu/weights.ts';
import type { BatchSize } from './operations.ts';

/** What a layer keeps of its way forward for the way back; rows are frame by frame, the utterances of each side by side. */
export interface LayerActivations {
  /** (rows, d) the layer's input. */
  x: GPUBuffer;
  /** (rows, hidden, 4) i f g o; on the way back their gradients take their place. */
  gates: GPUBuffer;
  /** (rows, hidden) */
  c: GPUBuffer;
  /** (rows, hidden) what is projected. */
  m: GPUBuffer;
  /** (rows, d) */
  h: GPUBuffer;
  /** (rows, d) behind the LSTM. */
  x1: GPUBuffer;
  /** (rows, ff) before DoubleSwish. */
  a: GPUBuffer;
  /** (rows, d) behind the feed-forward. */
  x2: GPUBuffer;
  /** Dropout masks, a bit for each element. */
  masks: { lstm: GPUBuffer; ffInner: GPUBuffer; ff: GPUBuffer };
}

/** Everything that a batch needs beside the parameters. */
export interface Activations {
  /** (times, utterances, freqs, 1 padded to 4) */
  features: GPUBuffer;
  /** Of each convolution, before and behind its DoubleSwish: (times, utterances, freqs, channels). */
  convs: readonly { z: GPUBuffer; y: GPUBuffer; dz: GPUBuffer }[];
  layers: readonly LayerActivations[];
  /** (rows, d) before and behind the embedding's norm; the latter is the first layer's input. */
  embed: GPUBuffer;
  /** (rows, d) the last layer's output. */
  out: GPUBuffer;
  /** (rows, d) the encoder's output. */
  encoderOut: GPUBuffer;
  /** Its dropout mask, for a head that has it. */
  headMask: GPUBuffer;
  /** (layers + 1) how much of each layer counts; 1 for the embedding. */
  alpha: GPUBuffer;
  /** (rows, combined layers) */
  combineWeights: GPUBuffer;
  /** What lives within one layer: (rows, ff), (rows, d) twice, (rows, d), (utterances, hidden), (rows) vec4s. */
  u: GPUBuffer;
  du: GPUBuffer;
  branch: GPUBuffer;
  dEncoderOut: GPUBuffer;
  dOut: GPUBuffer;
  dX2: GPUBuffer;
  dh: GPUBuffer;
  dc: GPUBuffer;
  dEps: GPUBuffer;
}

/** Encoder frames of the longest of some utterances. @param lens feature frames of each */
export const longestFrames = (lens: readonly number[]) => Math.max(...lens.map(encoderFrames));

export function createActivations(
  scope: BufferScope,
  sizes: EncoderSizes & { combined: number },
  { utterances, frames }: BatchSize,
): Activations {
  const { numFeatures, channels, numEncoderLayers } = sizes;
  const [d, hidden, ff] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(padded);
  const rows = utterances * frames;
  const freqs = subsampledFreqs(numFeatures);
  const floats = (label: string, count: number) => scope.createStorage('activations', label, 4 * count);
  const mask = (label: string, width: number) => floats(label, Math.ceil((rows * width) / 32));
  const xs = Array.from({ length: numEncoderLayers + 1 }, (_, l) => floats(`x of layer ${l}`, rows * d));
  return {
    features: floats('features', (4 * frames + 5) * utterances * numFeatures * 4),
    convs: CONV_TIMES.map((times, i) => {
      const count = timesOf(times, frames) * utterances * freqs[i] * padded(channels[i]);
      return { z: floats(`z${i}`, count), y: floats(`y${i}`, count), dz: floats(`dz${i}`, count) };
    }),
    layers: Array.from({ length: numEncoderLayers }, (_, l) => ({
      x: xs[l],
      gates: floats(`gates of layer ${l}`, rows * 4 * hidden),
      c: floats(`c of layer ${l}`, rows * hidden),
      m: floats(`m of layer ${l}`, rows * hidden),
      h: floats(`h of layer ${l}`, rows * d),
      x1: floats(`x1 of layer ${l}`, rows * d),
      a: floats(`a of layer ${l}`, rows * ff),
      x2: floats(`x2 of layer ${l}`, rows * d),
      masks: { lstm: mask('lstm mask', d), ffInner: mask('ff inner mask', ff), ff: mask('ff mask', d) },
    })),
    embed: floats('embedding', rows * d),
    out: xs[numEncoderLayers],
    encoderOut: floats('encoder_out', rows * d),
    headMask: mask('head mask', d),
    alpha: floats('alpha', numEncoderLayers + 1),
    combineWeights: floats('combine weights', rows * sizes.combined),
    u: floats('u', rows * ff),
    du: floats('gradient of u', rows * ff),
    branch: floats('branch', rows * d),
    dEncoderOut: floats('gradient of encoder_out', rows * d),
    dOut: floats('gradient of x', rows * d),
    dX2: floats('gradient of x2', rows * d),
    dh: floats('gradient of h', rows * d),
    dc: floats('gradient of c', utterances * hidden),
    dEps: floats('gradient of eps', 4 * rows),
  };
}
