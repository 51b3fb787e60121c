import { RillError } from '../errors.ts';
import { WEIGHT_BITS, readQuantized, requireFiniteHalves, toHalf, type WeightDtype } from '../model/dtypes.ts';
import { subsampledFreqs, type EncoderSizes, type ModelSizes } from '../model/sizes.ts';
import { type TensorSource, readFinite } from '../model/tensors.ts';
import type { BufferScope, GpuContext } from './device/context.ts';
import type { Resource } from './device/kernel.ts';

/** vec4s that hold `n` elements. */
export const vec4s = (n: number) => Math.ceil(n / 4);
/** `n` rounded up to whole vec4s. */
export const padded = (n: number) => 4 * vec4s(n);

/** Rows of `width` elements that lie `from` apart, laid out `to` apart: padded to vec4s, or the other way round. */
export function restride(
  values: Float32Array,
  rows: number,
  width: number,
  from: number,
  to: number,
): Float32Array<ArrayBuffer> {
  const output = new Float32Array(rows * to);
  for (let row = 0; row < rows; row++) {
    output.set(values.subarray(row * from, row * from + width), row * to);
  }
  return output;
}

/** Where the weights of each kind are kept. */
export interface WeightStorage {
  matrices: 'buffer' | 'texture';
  convolutions: 'buffer' | 'texture';
  /** Whether matrices of the same kind lie in one buffer, layer after layer. */
  gathered: boolean;
}

/** A weight matrix on the GPU, as `weights_at` in the shaders reads it. */
export interface Matrix {
  /**
   * A buffer, or a part of one, of (columns, inputs / 4, 4 or 2 or 1 parts, 8) vec4s, each block of 4 inputs x 4
   * outputs packed as the dtype says; or a texture with rows of (64 inputs, 8) texels, column after column.
   */
  weight: Resource;
  /** (outputs), for int8; a placeholder for the others */
  scale: GPUBuffer;
}

/** What a texture keeps four outputs in. */
const TEXEL_FORMATS: Readonly<Record<WeightDtype, GPUTextureFormat>> = {
  f32: 'rgba32float',
  f16: 'rgba16float',
  int8: 'rgba8snorm',
};

/** Bytes of weights that reading all of them takes. */
export const weightBytes = (weight: Resource, dtype: WeightDtype = 'f32') =>
  'size' in weight ? weight.size : (weight.width * weight.height * WEIGHT_BITS[dtype]) / 2;

/** What one layer reads; shapes as the shaders state them. */
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
  /** When they are gathered. */
  waves?: WaveWeights;
}

/** The weights of all layers, for kernels that are in several layers at a time; shapes as those state them. */
export interface WaveWeights {
  ih: GPUBuffer;
  hh: GPUBuffer;
  /** eps, biases and scales of the cell. */
  gates: GPUBuffer;
  hr: WaveMatrix;
  ff1: WaveMatrix & { bias: GPUBuffer };
  ff2: WaveMatrix & { bias: GPUBuffer };
}

interface WaveMatrix {
  weight: GPUBuffer;
  scale: GPUBuffer;
}

/** Bindings start at multiples of this, by WebGPU's default limits. */
const BINDING_ALIGNMENT = 256;
const aligned = (bytes: number) => Math.ceil(bytes / BINDING_ALIGNMENT) * BINDING_ALIGNMENT;

/** Whether a device can have the matrices of a kind of all layers in one binding, and a network has what waves need. */
export function canGather({ largestBinding }: GpuContext, sizes: EncoderSizes, dtype: WeightDtype): boolean {
  const largest = Math.max(...layerMatrices(sizes).map(([inputs, outputs]) => inputs * paddedToColumn(outputs)));
  const bytes = sizes.numEncoderLayers * aligned((largest * WEIGHT_BITS[dtype]) / 8);
  return sizes.hasProjection && bytes <= largestBinding;
}

/** Whether a device can have each matrix of a network in a texture: of its encoder, and of what heads it has. */
export function canBeTextures(
  { largestTexture }: GpuContext,
  { encoder, vocabSize = 0, transducer }: ModelSizes,
): boolean {
  const { numFeatures, channels, dModel } = encoder;
  const joinerDim = transducer?.joinerDim ?? 0;
  const others = [
    [9 * padded(channels[0]), channels[1]],
    [9 * padded(channels[1]), channels[2]],
    [subsampledFreqs(numFeatures)[2] * padded(channels[2]), dModel],
    [Math.max(dModel, joinerDim), vocabSize],
    [dModel, joinerDim],
  ] as const;
  return [...others, ...layerMatrices(encoder)].every(
    ([inputs, outputs]) => textureRows(inputs, outputs) <= largestTexture,
  );
}

/** Inputs and outputs of a layer's matrices, padded. */
function layerMatrices(sizes: EncoderSizes): (readonly [inputs: number, outputs: number])[] {
  const [width, hidden, feedForward] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(padded);
  return [
    [width, 4 * hidden],
    [hidden, width],
    [width, feedForward],
    [feedForward, width],
  ];
}

/** Where input `k` or output `o` of a PyTorch weight lies in the padded layout of the shaders. */
type Position = (index: number) => number;
const inPlace: Position = (index) => index;

/** A matrix that every layer has one of. */
interface Layered {
  kind: string;
  layer: number;
  layers: number;
}

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
 * become columns of outputs, with inputs and outputs padded to vec4; padding is zero.
 */
export class WeightLoader {
  /** What matrices become on the GPU. */
  readonly dtype: WeightDtype;
  readonly storage: WeightStorage;
  readonly #scope: BufferScope;
  readonly #source: TensorSource;
  readonly #onTensor: ((name: string) => void) | undefined;
  /** Gathered matrices, by kind. */
  readonly #gathered = new Map<string, GPUBuffer>();
  #noScale: GPUBuffer | undefined;

  constructor(
    scope: BufferScope,
    source: TensorSource,
    dtype: WeightDtype,
    storage: WeightStorage,
    onTensor?: (name: string) => void,
  ) {
    this.#scope = scope;
    this.#source = source;
    this.dtype = dtype;
    this.storage = storage;
    this.#onTensor = onTensor;
  }

  async read(name: string): Promise<Float32Array> {
    const values = await readFinite(this.#source, name);
    this.#onTensor?.(name);
    return values;
  }

  upload(label: string, values: ArrayBufferView<ArrayBuffer>): GPUBuffer {
    return this.#scope.make(() => {
      const buffer = this.#scope.createStorage('weights', label, values.byteLength);
      this.#scope.context.device.queue.writeBuffer(buffer, 0, values);
      return buffer;
    });
  }

  /**
   * `name` of shape (outputs, inputs), packed to {@link dtype}.
   *
   * @param layered where it may lie beside those of the other layers
   * @throws RillError `bad-model` for values that are not finite, or beyond the range of f16.
   */
  async matrix(
    name: string,
    [outputs, inputs]: readonly [number, number],
    { input, output = inPlace, paddedInputs = padded(inputs), paddedOutputs = padded(outputs) }: MatrixLayout = {},
    layered?: Layered,
  ): Promise<Matrix> {
    const pack = (numbers: PackedNumbers) => {
      const layout = { input, output, paddedInputs, paddedOutputs };
      if (this.storage.matrices === 'buffer') {
        const together = 32 / WEIGHT_BITS[this.dtype];
        const packed = packMatrix(numbers, [outputs, inputs], { ...layout, together });
        return layered && this.storage.gathered ? this.#gather(layered, packed) : this.upload(name, packed);
      }
      const packed = packMatrix(numbers, [outputs, inputs], { ...layout, paddedInputs: paddedToRow(paddedInputs) });
      return this.#uploadTexture(name, packed, TEXEL_FORMATS[this.dtype]);
    };
    if (this.dtype !== 'int8') {
      this.#noScale ??= this.upload('no scale', new Float32Array(4));
      return {
        weight: pack(await (this.dtype === 'f16' ? this.#readF16(name) : this.read(name))),
        scale: this.#noScale,
      };
    }
    const quantized = await readQuantized(this.#source, name, outputs);
    this.#onTensor?.(name);
    const scales = new Float32Array(paddedOutputs);
    quantized.scales.forEach((scale, o) => (scales[output(o)] = scale));
    return { weight: pack(quantized.values), scale: this.upload(`${name} scale`, scales) };
  }

  /** As it is stored, where it is stored so. */
  async #readF16(name: string): Promise<Uint16Array<ArrayBuffer>> {
    const stored = await this.#source.readF16?.(name);
    if (!stored) {
      return toHalf(name, await this.read(name));
    }
    requireFiniteHalves(name, stored);
    this.#onTensor?.(name);
    return stored;
  }

  /** Writes a matrix to its place beside those of the other layers. */
  #gather({ kind, layer, layers }: Layered, packed: ArrayBufferView<ArrayBuffer>): Resource {
    const size = packed.byteLength;
    const stride = aligned(size);
    return this.#scope.make(() => {
      const buffer = this.#gathered.get(kind) ?? this.#scope.createStorage('weights', kind, layers * stride);
      this.#gathered.set(kind, buffer);
      this.#scope.context.device.queue.writeBuffer(buffer, layer * stride, packed);
      return { buffer, offset: layer * stride, size };
    });
  }

  /** The matrices of a kind, of all layers. */
  gathered(kind: string): GPUBuffer {
    const buffer = this.#gathered.get(kind);
    if (!buffer) {
      throw new RillError('internal', {
        got: `no gathered ${kind}`,
        expected: 'weights of all layers, gathered for the waves',
        remedy: 'Please report it.',
      });
    }
    return buffer;
  }

  /** One buffer of several, each at its place in bytes. */
  join(label: string, bytes: number, parts: readonly { buffer: GPUBuffer; at: number }[]): GPUBuffer {
    const { device } = this.#scope.context;
    return this.#scope.make(() => {
      const joined = this.#scope.createStorage('weights', label, bytes);
      const encoder = device.createCommandEncoder();
      for (const { buffer, at } of parts) {
        encoder.copyBufferToBuffer(buffer, 0, joined, at, buffer.size);
      }
      device.queue.submit([encoder.finish()]);
      return joined;
    });
  }

  /** @param packed in whole rows of the texture */
  #uploadTexture(label: string, packed: Packed, format: GPUTextureFormat): GPUTexture {
    const width = ROW_INPUTS * COLUMN_VEC4S;
    const height = packed.length / (4 * width);
    const bytes = packed.byteLength;
    return this.#scope.make(() => {
      const texture = this.#scope.createTexture('weights', label, bytes, format, [width, height]);
      const layout = { bytesPerRow: bytes / height };
      this.#scope.context.device.queue.writeTexture({ texture }, packed, layout, [width, height]);
      return texture;
    });
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
   * `(outputs, inputs, 3, 3)` as a matrix of inputs `(3, 3, padded inputs)` and padded outputs, laid out as all, in f32; a
   * single input channel is not padded.
   */
  async conv<Storage extends WeightStorage['convolutions']>(
    name: string,
    outputs: number,
    inputs: number,
    storage: Storage,
  ): Promise<Storage extends 'buffer' ? GPUBuffer : GPUTexture>;
  async conv(
    name: string,
    outputs: number,
    inputs: number,
    storage: WeightStorage['convolutions'],
  ): Promise<GPUBuffer | GPUTexture> {
    const paddedInputs = inputs === 1 ? 1 : padded(inputs);
    const packed = packMatrix(await this.read(name), [outputs, 9 * inputs], {
      input: (k) => (k % 9) * paddedInputs + Math.floor(k / 9),
      paddedInputs: storage === 'buffer' ? 9 * paddedInputs : paddedToRow(9 * paddedInputs),
    });
    return storage === 'buffer' ? this.upload(name, packed) : this.#uploadTexture(name, packed, 'rgba32float');
  }

  /** BasicNorm's eps, stored as a logarithm. */
  async eps(name: string): Promise<GPUBuffer> {
    const [logarithm] = await this.read(name);
    return this.upload(name, Float32Array.of(Math.exp(logarithm)));
  }
}

/** What each dtype is written to the GPU from. */
type PackedNumbers = Float32Array | Uint16Array | Int8Array;
type Packed = PackedNumbers & ArrayBufferView<ArrayBuffer>;

function emptyLike(numbers: PackedNumbers, length: number): Packed {
  if (numbers instanceof Float32Array) {
    return new Float32Array(length);
  }
  return numbers instanceof Uint16Array ? new Uint16Array(length) : new Int8Array(length);
}

/** Outputs lie in columns of so many vec4s: those that a few threads read side by side, for one input after the other. */
const COLUMN_VEC4S = 8;
/** And of a column, a texture's row has so many inputs. */
const ROW_INPUTS = 64;
const paddedToRow = (inputs: number) => ROW_INPUTS * Math.ceil(inputs / ROW_INPUTS);
const paddedToColumn = (outputs: number) => 4 * COLUMN_VEC4S * Math.ceil(outputs / (4 * COLUMN_VEC4S));
const textureRows = (inputs: number, outputs: number) =>
  (paddedToRow(inputs) / ROW_INPUTS) * (paddedToColumn(outputs) / (4 * COLUMN_VEC4S));

/**
 * A matrix of shape (outputs, inputs), column after column: for each few inputs, `together` of them with 4 outputs each,
 * then the same inputs of the next 4 outputs of the column. In buffers as many inputs lie together as fit into 16 bytes:
 * 1 in f32, 2 in f16, 4 in int8.
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
): Packed {
  const packed = emptyLike(values, paddedInputs * paddedToColumn(paddedOutputs));
  const width = 4 * COLUMN_VEC4S;
  // Of element (k, o): (floor(o / width), floor(k / together), floor((o % width) / 4), k % together, o % 4).
  const starts = Array.from({ length: inputs }, (_, index) => {
    const k = input(index);
    return (k - (k % together)) * width + (k % together) * 4;
  });
  for (let index = 0; index < outputs; index++) {
    const o = output(index);
    const column = Math.floor(o / width) * paddedInputs * width;
    const offset = column + Math.floor((o % width) / 4) * together * 4 + (o % 4);
    for (let k = 0; k < inputs; k++) {
      packed[starts[k] + offset] = values[index * inputs + k];
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
    const each = (kind: string): Layered => ({ kind, layer: l, layers: numEncoderLayers });
    layers.push({
      ih: await load.matrix(`${layer}.lstm.weight_ih_l0`, [4 * hidden, dModel], gates, each('ih')),
      biasGates: await load.vector([`${layer}.lstm.bias_ih_l0`, `${layer}.lstm.bias_hh_l0`], 4 * hidden, {
        output: gate,
        paddedLength: 4 * padded(hidden),
      }),
      hh: await load.matrix(`${layer}.lstm.weight_hh_l0`, [4 * hidden, dModel], gates, each('hh')),
      hr: hasProjection ? await load.matrix(`${layer}.lstm.weight_hr_l0`, [dModel, hidden], {}, each('hr')) : undefined,
      ff1: await load.matrix(`${layer}.feed_forward.0.weight`, [dimFeedforward, dModel], {}, each('ff1')),
      biasFf1: await load.vector([`${layer}.feed_forward.0.bias`], dimFeedforward),
      ff2: await load.matrix(`${layer}.feed_forward.4.weight`, [dModel, dimFeedforward], {}, each('ff2')),
      biasFf2: await load.vector([`${layer}.feed_forward.4.bias`], dModel),
      normEps: await load.eps(`${layer}.norm_final.eps`),
    });
  }
  const normEps = await load.eps(`${embed}.out_norm.eps`);
  return {
    dtype: load.dtype,
    convFirst,
    convs,
    out,
    biasOut: await load.vector([`${embed}.out.bias`], dModel),
    normEps,
    layers,
    waves: load.storage.gathered ? joinLayers(load, layers, normEps) : undefined,
  };
}

/** What the kernels of waves read: gathered matrices, and vectors of all layers one after the other. */
function joinLayers(load: WeightLoader, layers: readonly LayerWeights[], embedEps: GPUBuffer): WaveWeights {
  const isInt8 = load.dtype === 'int8';
  const vectors = (label: string, buffers: readonly GPUBuffer[]) => {
    const [{ size }] = buffers;
    const parts = buffers.map((buffer, l) => ({ buffer, at: l * size }));
    return load.join(label, buffers.length * size, parts);
  };
  const matrix = (kind: string, matrices: readonly Matrix[]) => {
    const scales = matrices.map(({ scale }) => scale);
    return { weight: load.gathered(kind), scale: isInt8 ? vectors(`${kind} scale`, scales) : scales[0] };
  };
  const linear = (kind: string, matrices: readonly Matrix[], biases: readonly GPUBuffer[]) => {
    return { ...matrix(kind, matrices), bias: vectors(`${kind} bias`, biases) };
  };
  // (layers, 1 + 3 * hidden) vec4s: eps of the norm before the layer, biases, and the scales of both matrices.
  const { size } = layers[0].biasGates;
  const stride = 16 + 3 * size;
  const gates = layers.flatMap(({ biasGates, ih, hh }, l) => [
    { buffer: l === 0 ? embedEps : layers[l - 1].normEps, at: l * stride },
    { buffer: biasGates, at: l * stride + 16 },
    ...(isInt8
      ? [
          { buffer: ih.scale, at: l * stride + 16 + size },
          { buffer: hh.scale, at: l * stride + 16 + 2 * size },
        ]
      : []),
  ]);
  return {
    ih: load.gathered('ih'),
    hh: load.gathered('hh'),
    gates: load.join('gates', layers.length * stride, gates),
    hr: matrix(
      'hr',
      layers.flatMap(({ hr }) => hr ?? []),
    ),
    ff1: linear(
      'ff1',
      layers.map(({ ff1 }) => ff1),
      layers.map(({ biasFf1 }) => biasFf1),
    ),
    ff2: linear(
      'ff2',
      layers.map(({ ff2 }) => ff2),
      layers.map(({ biasFf2 }) => biasFf2),
    ),
  };
}
