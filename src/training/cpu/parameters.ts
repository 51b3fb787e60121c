import { requireCtc } from '../../encoder/checks.ts';
import type { ModelSizes } from '../../model/sizes.ts';
import { elementCount, readFinite, withTensors, type TensorSource } from '../../model/tensors.ts';
import type { Address } from '../../wasm/kernels.ts';
import type { Heap } from '../../wasm/memory.ts';
import { padded } from '../../wasm/weights.ts';
import { CTC_HEAD, layerPrefix } from '../layout.ts';

/** How a tensor lies in memory: in PyTorch's order, rows and columns padded with zeros to panels of eight. */
interface Layout {
  /** A vector has one. */
  rows: number;
  width: number;
  /** Where an element goes, by its index in C order. */
  placeOf: (index: number) => number;
}

/** A tensor that is trained. */
export interface Parameter extends Layout {
  /** icefall's. */
  name: string;
  value: Address;
  gradient: Address;
}

/** A matrix with what products read of it, see {@link Products.prepare}. */
export interface Matrix extends Parameter {
  /** (rows / 8, width, 8) */
  forwards: Address;
  /** (width / 8, rows, 8) */
  backwards: Address;
}

export interface LayerParameters {
  ih: Matrix;
  hh: Matrix;
  /** Missing without projection. */
  hr?: Matrix;
  biasIh: Parameter;
  biasHh: Parameter;
  ff1: Matrix;
  bias1: Parameter;
  ff2: Matrix;
  bias2: Parameter;
  /** One number, a logarithm. */
  eps: Parameter;
}

const vector = (n: number): Layout => ({ rows: 1, width: padded(n), placeOf: (index) => index });

const matrix = (outputs: number, inputs: number): Layout => ({
  rows: padded(outputs),
  width: padded(inputs),
  placeOf: (index) => Math.floor(index / inputs) * padded(inputs) + (index % inputs),
});

/** The four gates are padded each. */
const gateRow = (row: number, hidden: number) => Math.floor(row / hidden) * padded(hidden) + (row % hidden);

const gatesMatrix = (hidden: number, inputs: number): Layout => ({
  rows: 4 * padded(hidden),
  width: padded(inputs),
  placeOf: (index) => gateRow(Math.floor(index / inputs), hidden) * padded(inputs) + (index % inputs),
});

const gatesBias = (hidden: number): Layout => ({
  rows: 1,
  width: 4 * padded(hidden),
  placeOf: (index) => gateRow(index, hidden),
});

/** Floats that a parameter takes. */
export const lengthOf = ({ rows, width }: Layout) => rows * width;

/** The tensors of the last layers and of the CTC head in the CPU's memory, each with its gradient. */
export class Parameters {
  readonly layers: readonly LayerParameters[];
  readonly head: { weight: Matrix; bias: Parameter };
  readonly #heap: Heap;
  readonly #all: Parameter[] = [];
  readonly #matrices: Matrix[] = [];

  private constructor(heap: Heap, { encoder, ...sizes }: ModelSizes, from: number) {
    this.#heap = heap;
    const { dModel: d, rnnHiddenSize: hidden, dimFeedforward: ff, hasProjection, numEncoderLayers } = encoder;
    this.layers = Array.from({ length: numEncoderLayers - from }, (_, i) => {
      const name = (tensor: string) => `${layerPrefix(from + i)}.${tensor}`;
      return {
        ih: this.#matrix(name('lstm.weight_ih_l0'), gatesMatrix(hidden, d)),
        hh: this.#matrix(name('lstm.weight_hh_l0'), gatesMatrix(hidden, d)),
        biasIh: this.#add(name('lstm.bias_ih_l0'), gatesBias(hidden)),
        biasHh: this.#add(name('lstm.bias_hh_l0'), gatesBias(hidden)),
        hr: hasProjection ? this.#matrix(name('lstm.weight_hr_l0'), matrix(d, hidden)) : undefined,
        ff1: this.#matrix(name('feed_forward.0.weight'), matrix(ff, d)),
        bias1: this.#add(name('feed_forward.0.bias'), vector(ff)),
        ff2: this.#matrix(name('feed_forward.4.weight'), matrix(d, ff)),
        bias2: this.#add(name('feed_forward.4.bias'), vector(d)),
        eps: this.#add(name('norm_final.eps'), vector(1)),
      };
    });
    const { vocabSize } = requireCtc({ encoder, ...sizes });
    this.head = {
      weight: this.#matrix(`${CTC_HEAD}.weight`, matrix(vocabSize, d)),
      bias: this.#add(`${CTC_HEAD}.bias`, vector(vocabSize)),
    };
  }

  /**
   * @param from the first layer that is trained
   * @throws RillError `bad-model` without a CTC head, or for weights that are not numbers; `no-memory`.
   */
  static async load(heap: Heap, weights: TensorSource, sizes: ModelSizes, from: number): Promise<Parameters> {
    const loaded = new Parameters(heap, sizes, from);
    for (const parameter of loaded.all) {
      const values = await readFinite(weights, parameter.name);
      const to = loaded.values(parameter);
      values.forEach((value, index) => (to[parameter.placeOf(index)] = value));
    }
    return loaded;
  }

  #add(name: string, layout: Layout): Parameter {
    const bytes = 4 * lengthOf(layout);
    const parameter = { name, ...layout, value: this.#heap.keep(bytes), gradient: this.#heap.keep(bytes) };
    this.#all.push(parameter);
    return parameter;
  }

  #matrix(name: string, layout: Layout): Matrix {
    const bytes = 4 * lengthOf(layout);
    const laidOut = { forwards: this.#heap.keep(bytes), backwards: this.#heap.keep(bytes) };
    const parameter = { ...this.#add(name, layout), ...laidOut };
    this.#matrices.push(parameter);
    return parameter;
  }

  /** All of them, in the network's order. */
  get all(): readonly Parameter[] {
    return this.#all;
  }

  /** Those that are matrices. */
  get matrices(): readonly Matrix[] {
    return this.#matrices;
  }

  /** A parameter as it lies in memory; not to be kept. */
  values(parameter: Parameter): Float32Array {
    return this.#heap.floatsAt(parameter.value, lengthOf(parameter));
  }

  /** Its gradient, likewise. */
  gradients(parameter: Parameter): Float32Array {
    return this.#heap.floatsAt(parameter.gradient, lengthOf(parameter));
  }

  /** A model's weights with these in their place. */
  into(weights: TensorSource): TensorSource {
    const changed = this.#all.map((parameter) => {
      const shape = weights.tensors.get(parameter.name)?.shape ?? [];
      return [parameter.name, { shape, values: inOrder(parameter, this.values(parameter), shape) }] as const;
    });
    return withTensors(weights, new Map(changed));
  }
}

/** A parameter, or its gradient, in C order. */
export const inOrder = ({ placeOf }: Layout, values: Float32Array, shape: readonly number[]) =>
  Float32Array.from({ length: elementCount(shape) }, (_, index) => values[placeOf(index)]);
