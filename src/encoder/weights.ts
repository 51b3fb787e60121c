import type { BufferScope } from '../gpu/context.ts';
import { subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { requireFinite, type TensorSource } from '../model/tensors.ts';

/** vec4s that hold `n` elements. */
export const vec4s = (n: number) => Math.ceil(n / 4);
/** `n` rounded up to whole vec4s. */
export const padded = (n: number) => 4 * vec4s(n);

/** GPU buffers of one layer; shapes as the shaders state them. */
export interface LayerWeights {
  weightIh: GPUBuffer;
  biasGates: GPUBuffer;
  weightHh: GPUBuffer;
  weightHr?: GPUBuffer;
  weightFf1: GPUBuffer;
  biasFf1: GPUBuffer;
  weightFf2: GPUBuffer;
  biasFf2: GPUBuffer;
  normEps: GPUBuffer;
}

export interface EncoderWeights {
  convs: readonly { weight: GPUBuffer; bias: GPUBuffer }[];
  weightOut: GPUBuffer;
  biasOut: GPUBuffer;
  normEps: GPUBuffer;
  layers: readonly LayerWeights[];
}

/** Where input `k` or output `o` of a PyTorch weight lies in the padded layout of the shaders. */
type Position = (index: number) => number;
const inPlace: Position = (index) => index;

/**
 * The one place that maps checkpoint names and PyTorch layouts to GPU buffers and shader layouts. Weights
 * become column-major with inputs and outputs padded to vec4; padding is zero.
 */
export class WeightLoader {
  readonly #scope: BufferScope;
  readonly #source: TensorSource;
  readonly #progress: ((name: string) => void) | undefined;

  constructor(scope: BufferScope, source: TensorSource, progress?: (name: string) => void) {
    this.#scope = scope;
    this.#source = source;
    this.#progress = progress;
  }

  async read(name: string): Promise<Float32Array> {
    const values = await this.#source.read(name);
    requireFinite('bad-model', name, values);
    this.#progress?.(name);
    return values;
  }

  upload(label: string, values: Float32Array<ArrayBuffer>): GPUBuffer {
    const buffer = this.#scope.createStorage('weights', label, values.byteLength);
    this.#scope.context.device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }

  /**
   * `name` of shape (outputs, inputs) as (padded inputs, padded outputs).
   *
   * @param input where an input goes, of `paddedInputs`
   * @param output where an output goes, of `paddedOutputs`
   */
  async matrix(
    name: string,
    [outputs, inputs]: readonly [number, number],
    { input = inPlace, output = inPlace, paddedInputs = padded(inputs), paddedOutputs = padded(outputs) } = {},
  ): Promise<GPUBuffer> {
    const values = await this.read(name);
    const packed = new Float32Array(paddedInputs * paddedOutputs);
    for (let o = 0; o < outputs; o++) {
      const column = output(o);
      for (let k = 0; k < inputs; k++) {
        packed[input(k) * paddedOutputs + column] = values[o * inputs + k];
      }
    }
    return this.upload(name, packed);
  }

  /** The sum of one or more vectors of the same length, padded. */
  async vector(
    names: readonly string[],
    length: number,
    output = inPlace,
    paddedLength = padded(length),
  ): Promise<GPUBuffer> {
    const packed = new Float32Array(paddedLength);
    for (const name of names) {
      (await this.read(name)).forEach((value, o) => (packed[output(o)] += value));
    }
    return this.upload(names.join(' + '), packed);
  }

  /** `(outputs, inputs, 3, 3)` as `(3, 3, padded inputs, padded outputs)`; a single input channel is not padded. */
  conv(name: string, outputs: number, inputs: number): Promise<GPUBuffer> {
    const paddedInputs = inputs === 1 ? 1 : padded(inputs);
    return this.matrix(name, [outputs, 9 * inputs], {
      input: (k) => (k % 9) * paddedInputs + Math.floor(k / 9),
      paddedInputs: 9 * paddedInputs,
    });
  }

  /** BasicNorm's eps, stored as a logarithm. */
  async eps(name: string): Promise<GPUBuffer> {
    const [logarithm] = await this.read(name);
    return this.upload(name, Float32Array.of(Math.exp(logarithm)));
  }
}

/** Loads everything the encoder reads, tensor by tensor. */
export async function loadEncoderWeights(load: WeightLoader, sizes: EncoderSizes): Promise<EncoderWeights> {
  const { channels, dModel, dimFeedforward, rnnHiddenSize: hidden, hasProjection, numEncoderLayers } = sizes;
  const embed = 'encoder.encoder_embed';
  const convs = [];
  for (const [i, position] of [0, 3, 6].entries()) {
    convs.push({
      weight: await load.conv(`${embed}.conv.${position}.weight`, channels[i], i === 0 ? 1 : channels[i - 1]),
      bias: await load.vector([`${embed}.conv.${position}.bias`], channels[i]),
    });
  }
  // PyTorch flattens (channel, freq), the shaders keep (freq, channel).
  const freqs = subsampledFreqs(sizes.numFeatures)[2];
  const outChannels = padded(channels[2]);
  const weightOut = await load.matrix(`${embed}.out.weight`, [dModel, channels[2] * freqs], {
    input: (k) => (k % freqs) * outChannels + Math.floor(k / freqs),
    paddedInputs: freqs * outChannels,
  });

  // PyTorch stacks the rows of i, f, g, o; the shaders keep the four of a unit together.
  const gate: Position = (row) => (row % hidden) * 4 + Math.floor(row / hidden);
  const gates = { output: gate, paddedOutputs: 4 * padded(hidden) };
  const layers: LayerWeights[] = [];
  for (let l = 0; l < numEncoderLayers; l++) {
    const layer = `encoder.encoder.layers.${l}`;
    layers.push({
      weightIh: await load.matrix(`${layer}.lstm.weight_ih_l0`, [4 * hidden, dModel], gates),
      biasGates: await load.vector(
        [`${layer}.lstm.bias_ih_l0`, `${layer}.lstm.bias_hh_l0`],
        4 * hidden,
        gate,
        4 * padded(hidden),
      ),
      weightHh: await load.matrix(`${layer}.lstm.weight_hh_l0`, [4 * hidden, dModel], gates),
      weightHr: hasProjection ? await load.matrix(`${layer}.lstm.weight_hr_l0`, [dModel, hidden]) : undefined,
      weightFf1: await load.matrix(`${layer}.feed_forward.0.weight`, [dimFeedforward, dModel]),
      biasFf1: await load.vector([`${layer}.feed_forward.0.bias`], dimFeedforward),
      weightFf2: await load.matrix(`${layer}.feed_forward.4.weight`, [dModel, dimFeedforward]),
      biasFf2: await load.vector([`${layer}.feed_forward.4.bias`], dModel),
      normEps: await load.eps(`${layer}.norm_final.eps`),
    });
  }
  return {
    convs,
    weightOut,
    biasOut: await load.vector([`${embed}.out.bias`], dModel),
    normEps: await load.eps(`${embed}.out_norm.eps`),
    layers,
  };
}
