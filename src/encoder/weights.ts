import type { BufferScope } from '../gpu/context.ts';
import { subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { WEIGHT_BITS, quantizeRows, toHalf, type WeightDtype } from '../model/dtypes.ts';
import { requireFinite, type TensorSource } from '../model/tensors.ts';

/** vec4s that hold `n` elements. */
export const vec4s = (n: number) => Math.ceil(n / 4);
/** `n` rounded up to whole vec4s. */
export const padded = (n: number) => 4 * vec4s(n);

/** Where matrices are kept. */
export type MatrixStorage = 'buffer' | 'texture';

/** Where the weights of each kind are kept. */
export interface WeightStorage {
  matrices: MatrixStorage;
  convolutions: MatrixStorage;
}

/** A weight matrix on the GPU, as `weights_at` in the shaders reads it. */
export interface Matrix {
  /**
   * A buffer of (inputs / 4, 4 or 2 or 1 parts, outputs / 4) vec4s, each block of 4 inputs x 4 outputs packed as the
   * dtype says; or a texture of (inputs, outputs / 4) texels.
   */
  weight: GPUBuffer | GPUTexture;
  /** (outputs), for int8; a placeholder for the others */
  scale: GPUBuffer;
}

/** What a texture keeps four outputs in. */
const TEXEL_FORMATS: Readonly<Record<WeightDtype, GPUTextureFormat>> = {
  f32: 'rgba32float',
  f16: 'rgba16float',
  int8: 'rgba8snorm',
};
/** Inputs of a texture are padded to as many as a quad of threads reads at a time. */
const paddedForTexture = (inputs: number) => 16 * Math.ceil(inputs / 16);

/** Bytes of weights that reading all of them takes. */
export const weightBytes = (weight: GPUBuffer | GPUTexture, dtype: WeightDtype = 'f32') =>
  'size' in weight ? weight.size : (weight.width * weight.height * WEIGHT_BITS[dtype]) / 2;

/** GPU buffers of one layer; shapes as the shaders state them. */
export interface LayerWeights {
  ih: Matrix;
  biasGates: GPUBuffer;
  hh: Matrix;
  hr?: Matrix;
  ff1: Matrix;
  biasFf1: GPUBuffer;
  ff2: Matrix;
  biasFf2: GPUBuffer;
  normEps: GPUBuffer;
}

export interface ConvWeights {
  weight: GPUBuffer | GPUTexture;
  bias: GPUBuffer;
}

export interface EncoderWeights {
  dtype: WeightDtype;
  convFirst: { weight: GPUBuffer; bias: GPUBuffer };
  /** conv.3 and conv.6 */
  convs: readonly [ConvWeights, ConvWeights];
  out: Matrix;
  biasOut: GPUBuffer;
  normEps: GPUBuffer;
  layers: readonly LayerWeights[];
}

/** Where input `k` or output `o` of a PyTorch weight lies in the padded layout of the shaders. */
type Position = (index: number) => number;
const inPlace: Position = (index) => index;

/** How {@link WeightLoader.matrix} lays a matrix out. */
interface MatrixLayout {
  /** Where an input goes, of `paddedInputs`. */
  input?: Position;
  /** Where an output goes, of `paddedOutputs`. */
  output?: Position;
  paddedInputs?: number;
  paddedOutputs?: number;
}

/**
 * The one place that maps checkpoint names and PyTorch layouts to GPU buffers and shader layouts. Weights
 * become column-major with inputs and outputs padded to vec4; padding is zero.
 */
export class WeightLoader {
  /** What matrices become on the GPU. */
  readonly dtype: WeightDtype;
  readonly storage: WeightStorage;
  readonly #scope: BufferScope;
  readonly #source: TensorSource;
  readonly #progress: ((name: string) => void) | undefined;
  #noScale: GPUBuffer | undefined;

  constructor(
    scope: BufferScope,
    source: TensorSource,
    dtype: WeightDtype,
    storage: WeightStorage,
    progress?: (name: string) => void,
  ) {
    this.#scope = scope;
    this.#source = source;
    this.dtype = dtype;
    this.storage = storage;
    this.#progress = progress;
  }

  async read(name: string): Promise<Float32Array> {
    const values = await this.#source.read(name);
    requireFinite('bad-model', name, values);
    this.#progress?.(name);
    return values;
  }

  upload(label: string, values: ArrayBufferView<ArrayBuffer>): GPUBuffer {
    const buffer = this.#scope.createStorage('weights', label, values.byteLength);
    this.#scope.context.device.queue.writeBuffer(buffer, 0, values);
    return buffer;
  }

  /**
   * `name` of shape (outputs, inputs), packed to {@link dtype}.
   *
   * @throws RillError `bad-model` for values that are not finite, or beyond the range of f16.
   */
  async matrix(
    name: string,
    [outputs, inputs]: readonly [number, number],
    { input, output = inPlace, paddedInputs = padded(inputs), paddedOutputs = padded(outputs) }: MatrixLayout = {},
  ): Promise<Matrix> {
    const values = await this.read(name);
    const pack = (numbers: PackedNumbers) => {
      const layout = { input, output, paddedInputs, paddedOutputs };
      if (this.storage.matrices === 'buffer') {
        const together = 32 / WEIGHT_BITS[this.dtype];
        return this.upload(name, packMatrix(numbers, [outputs, inputs], { ...layout, together }));
      }
      const height = paddedForTexture(paddedInputs);
      const packed = packMatrix(numbers, [outputs, inputs], { ...layout, paddedInputs: height });
      return this.#uploadTexture(name, packed, TEXEL_FORMATS[this.dtype], [paddedOutputs / 4, height]);
    };
    if (this.dtype !== 'int8') {
      this.#noScale ??= this.upload('no scale', new Float32Array(4));
      return { weight: pack(this.dtype === 'f16' ? toHalf(name, values) : values), scale: this.#noScale };
    }
    const quantized = quantizeRows(values, outputs);
    const scales = new Float32Array(paddedOutputs);
    quantized.scales.forEach((scale, o) => (scales[output(o)] = scale));
    return { weight: pack(quantized.values), scale: this.upload(`${name} scale`, scales) };
  }

  #uploadTexture(
    label: string,
    texels: ArrayBufferView<ArrayBuffer>,
    format: GPUTextureFormat,
    size: readonly [width: number, height: number],
  ): GPUTexture {
    const bytes = texels.byteLength;
    const texture = this.#scope.createTexture('weights', label, bytes, format, size);
    this.#scope.context.device.queue.writeTexture({ texture }, texels, { bytesPerRow: bytes / size[1] }, size);
    return texture;
  }

  /**
   * The sum of one or more vectors of the same length, padded.
   *
   * @param adjust changes it before it is uploaded
   */
  async vector(
    names: readonly string[],
    length: number,
    {
      output = inPlace,
      paddedLength = padded(length),
      adjust,
    }: { output?: Position; paddedLength?: number; adjust?: (values: Float32Array) => void } = {},
  ): Promise<GPUBuffer> {
    const packed = new Float32Array(paddedLength);
    for (const name of names) {
      (await this.read(name)).forEach((value, o) => (packed[output(o)] += value));
    }
    adjust?.(packed);
    return this.upload(names.join(' + '), packed);
  }

  /** `(rows, width)` with rows padded, in f32: a table that kernels look rows up in. */
  async rows(name: string, width: number): Promise<GPUBuffer> {
    const values = await this.read(name);
    const packed = new Float32Array((values.length / width) * padded(width));
    values.forEach((value, i) => (packed[Math.floor(i / width) * padded(width) + (i % width)] = value));
    return this.upload(name, packed);
  }

  /** `(width, 1, taps)` as `(taps, padded width)`, in f32. */
  async depthwise(name: string, width: number, taps: number): Promise<GPUBuffer> {
    const values = await this.read(name);
    const packed = new Float32Array(taps * padded(width));
    values.forEach((value, i) => (packed[(i % taps) * padded(width) + Math.floor(i / taps)] = value));
    return this.upload(name, packed);
  }

  /**
   * `(outputs, inputs, 3, 3)` as `(3, 3, padded inputs, padded outputs)`, in f32; a single input channel is not padded.
   * In a texture the inputs of each row of the window, 3 * padded inputs, are padded once more.
   */
  async conv<Storage extends MatrixStorage>(
    name: string,
    outputs: number,
    inputs: number,
    storage: Storage,
  ): Promise<Storage extends 'buffer' ? GPUBuffer : GPUTexture>;
  async conv(name: string, outputs: number, inputs: number, storage: MatrixStorage): Promise<GPUBuffer | GPUTexture> {
    const paddedInputs = inputs === 1 ? 1 : padded(inputs);
    const rowInputs = storage === 'buffer' ? 3 * paddedInputs : paddedForTexture(3 * paddedInputs);
    const packed = packMatrix(await this.read(name), [outputs, 9 * inputs], {
      input: (k) => Math.floor((k % 9) / 3) * rowInputs + (k % 3) * paddedInputs + Math.floor(k / 9),
      paddedInputs: 3 * rowInputs,
    });
    return storage === 'buffer'
      ? this.upload(name, packed)
      : this.#uploadTexture(name, packed, 'rgba32float', [padded(outputs) / 4, 3 * rowInputs]);
  }

  /** BasicNorm's eps, stored as a logarithm. */
  async eps(name: string): Promise<GPUBuffer> {
    const [logarithm] = await this.read(name);
    return this.upload(name, Float32Array.of(Math.exp(logarithm)));
  }
}

/** What each dtype is written to the GPU from. */
type PackedNumbers = Float32Array | Uint16Array | Int8Array;

/**
 * A matrix of shape (outputs, inputs), column-major: for each few inputs, `together` of them with 4 outputs each, then
 * the same inputs of the next 4 outputs. In buffers as many inputs lie together as fit into 16 bytes: 1 in f32, 2 in
 * f16, 4 in int8.
 */
function packMatrix(
  values: PackedNumbers,
  [outputs, inputs]: readonly [number, number],
  {
    input = inPlace,
    output = inPlace,
    paddedInputs = padded(inputs),
    paddedOutputs = padded(outputs),
    together = 1,
  }: MatrixLayout & { together?: number } = {},
): PackedNumbers & ArrayBufferView<ArrayBuffer> {
  const length = paddedInputs * paddedOutputs;
  const packed =
    values instanceof Float32Array
      ? new Float32Array(length)
      : values instanceof Uint16Array
        ? new Uint16Array(length)
        : new Int8Array(length);
  // Of element (k, o): (floor(k / together), floor(o / 4), k % together, o % 4).
  const starts = Array.from({ length: inputs }, (_, index) => {
    const k = input(index);
    return Math.floor(k / together) * together * paddedOutputs + (k % together) * 4;
  });
  for (let o = 0; o < outputs; o++) {
    const column = output(o);
    const offset = Math.floor(column / 4) * 4 * together + (column % 4);
    for (let k = 0; k < inputs; k++) {
      packed[starts[k] + offset] = values[o * inputs + k];
    }
  }
  return packed;
}

/** Loads everything the encoder reads, tensor by tensor. */
export async function loadEncoderWeights(load: WeightLoader, sizes: EncoderSizes): Promise<EncoderWeights> {
  const { channels, dModel, dimFeedforward, rnnHiddenSize: hidden, hasProjection, numEncoderLayers } = sizes;
  const embed = 'encoder.encoder_embed';
  const bias = (position: number, length: number) => load.vector([`${embed}.conv.${position}.bias`], length);
  const conv = async (position: number, outputs: number, inputs: number): Promise<ConvWeights> => ({
    weight: await load.conv(`${embed}.conv.${position}.weight`, outputs, inputs, load.storage.convolutions),
    bias: await bias(position, outputs),
  });
  const convFirst = {
    weight: await load.conv(`${embed}.conv.0.weight`, channels[0], 1, 'buffer'),
    bias: await bias(0, channels[0]),
  };
  const convs: EncoderWeights['convs'] = [
    await conv(3, channels[1], channels[0]),
    await conv(6, channels[2], channels[1]),
  ];
  // PyTorch flattens (channel, freq), the shaders keep (freq, channel).
  const freqs = subsampledFreqs(sizes.numFeatures)[2];
  const outChannels = padded(channels[2]);
  const out = await load.matrix(`${embed}.out.weight`, [dModel, channels[2] * freqs], {
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
      ih: await load.matrix(`${layer}.lstm.weight_ih_l0`, [4 * hidden, dModel], gates),
      biasGates: await load.vector([`${layer}.lstm.bias_ih_l0`, `${layer}.lstm.bias_hh_l0`], 4 * hidden, {
        output: gate,
        paddedLength: 4 * padded(hidden),
      }),
      hh: await load.matrix(`${layer}.lstm.weight_hh_l0`, [4 * hidden, dModel], gates),
      hr: hasProjection ? await load.matrix(`${layer}.lstm.weight_hr_l0`, [dModel, hidden]) : undefined,
      ff1: await load.matrix(`${layer}.feed_forward.0.weight`, [dimFeedforward, dModel]),
      biasFf1: await load.vector([`${layer}.feed_forward.0.bias`], dimFeedforward),
      ff2: await load.matrix(`${layer}.feed_forward.4.weight`, [dModel, dimFeedforward]),
      biasFf2: await load.vector([`${layer}.feed_forward.4.bias`], dModel),
      normEps: await load.eps(`${layer}.norm_final.eps`),
    });
  }
  return {
    dtype: load.dtype,
    convFirst,
    convs,
    out,
    biasOut: await load.vector([`${embed}.out.bias`], dModel),
    normEps: await load.eps(`${embed}.out_norm.eps`),
    layers,
  };
}
