import { readQuantized } from '../model/dtypes.ts';
import { subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { type TensorSource, readFinite } from '../model/tensors.ts';
import type { Address } from './kernels.ts';
import type { Heap } from './memory.ts';
import type { Turns } from './turns.ts';

/** `n` rounded up to whole panels: rows of all arrays are that wide, and padding is zero. */
export const padded = (n: number) => 8 * Math.ceil(n / 8);

/** What the products compute in. */
export type Arithmetic = 'f32' | 'int8';

/** y = W x + b as `wasm/linear.ts` and `wasm/linear-int8.ts` read it; sizes are padded. */
export interface Matrix {
  weight: Address;
  /** (outputs), of int8 */
  scale?: Address;
  /** (outputs) */
  bias: Address;
  inputs: number;
  outputs: number;
}

export interface LayerWeights {
  /** With both biases; outputs (4, hidden): i, f, g, o. */
  ih: Matrix;
  /** Its bias is zero. */
  hh: Matrix;
  /** Its bias is zero; missing without projection. */
  hr?: Matrix;
  ff1: Matrix;
  ff2: Matrix;
  normEps: number;
}

export interface EncoderWeights {
  /** conv.0, conv.3 and conv.6, in f32; inputs (3, 3, channels). */
  convs: readonly [Matrix, Matrix, Matrix];
  out: Matrix;
  normEps: number;
  layers: readonly LayerWeights[];
}

/** Where input `k` or output `o` of a PyTorch weight lies among the padded ones. */
type Position = (index: number) => number;
const inPlace: Position = (index) => index;

interface MatrixLayout {
  input?: Position;
  output?: Position;
  paddedInputs?: number;
  paddedOutputs?: number;
  arithmetic?: Arithmetic;
}

/**
 * The one place that maps checkpoint names and PyTorch layouts to the CPU engine's memory: panels of eight outputs, inputs
 * and outputs padded with zeros.
 */
export class WeightLoader {
  readonly arithmetic: Arithmetic;
  readonly #heap: Heap;
  readonly #turns: Turns;
  readonly #source: TensorSource;
  readonly #onTensor: ((name: string) => void) | undefined;

  /** @param turns those of the steps: weights take the place of what was laid out for a step */
  constructor(
    heap: Heap,
    turns: Turns,
    source: TensorSource,
    arithmetic: Arithmetic,
    onTensor?: (name: string) => void,
  ) {
    this.#heap = heap;
    this.#turns = turns;
    this.#source = source;
    this.arithmetic = arithmetic;
    this.#onTensor = onTensor;
  }

  async read(name: string): Promise<Float32Array> {
    const values = await readFinite(this.#source, name);
    this.#onTensor?.(name);
    return values;
  }

  /**
   * `name` of shape (outputs, inputs) with the sum of some biases.
   *
   * @throws RillError `bad-model` for values that are not finite, `no-memory`.
   */
  async matrix(
    name: string,
    biases: readonly string[],
    [outputs, inputs]: readonly [number, number],
    {
      input = inPlace,
      output = inPlace,
      paddedInputs = padded(inputs),
      paddedOutputs = padded(outputs),
      arithmetic = this.arithmetic,
    }: MatrixLayout = {},
  ): Promise<Matrix> {
    const rows = Array.from({ length: outputs }, (_, o) => output(o));
    const columns = Uint32Array.from({ length: inputs }, (_, k) => input(k));
    const sizes = { inputs: paddedInputs, outputs: paddedOutputs };
    const bias = new Float32Array(paddedOutputs);
    for (const each of biases) {
      (await this.read(each)).forEach((value, o) => (bias[rows[o]] += value));
    }
    if (arithmetic === 'f32') {
      const values = await this.read(name);
      return this.#turns.take(() => {
        const weight = this.#heap.keep(4 * paddedInputs * paddedOutputs);
        const panels = this.#heap.floatsAt(weight, paddedInputs * paddedOutputs);
        packPanels(values, panels, rows, columns, paddedInputs, 1);
        return { weight, bias: this.#put(bias), ...sizes };
      });
    }
    const quantized = await readQuantized(this.#source, name, outputs);
    this.#onTensor?.(name);
    const scales = new Float32Array(paddedOutputs);
    quantized.scales.forEach((scale, o) => (scales[rows[o]] = scale / 127));
    return this.#turns.take(() => {
      const weight = this.#heap.keep(paddedInputs * paddedOutputs);
      const panels = new Int8Array(this.#heap.memory.buffer, weight, paddedInputs * paddedOutputs);
      packPanels(quantized.values, panels, rows, columns, paddedInputs, 2);
      return { weight, scale: this.#put(scales), bias: this.#put(bias), ...sizes };
    });
  }

  /** BasicNorm's eps, stored as a logarithm. */
  async eps(name: string): Promise<number> {
    const [logarithm] = await this.read(name);
    return Math.exp(logarithm);
  }

  #put(values: Float32Array): Address {
    const at = this.#heap.keep(values.byteLength);
    this.#heap.floatsAt(at, values.length).set(values);
    return at;
  }
}

/**
 * Lays a matrix out in panels of eight outputs, (outputs / 8, inputs / together, 8, together).
 *
 * @param values (rows, columns)
 * @param rows where each row goes among the outputs
 * @param columns where each column goes among the inputs
 */
function packPanels(
  values: Float32Array | Int8Array,
  panels: Float32Array | Int8Array,
  rows: readonly number[],
  columns: Uint32Array,
  inputs: number,
  together: 1 | 2,
): void {
  const places = columns.map((k) => 8 * (k - (k % together)) + (k % together));
  rows.forEach((o, row) => {
    const start = 8 * inputs * (o >> 3) + together * (o & 7);
    const from = row * places.length;
    // A plain loop: over a whole model it runs millions of times before it is compiled.
    for (let k = 0; k < places.length; k++) {
      panels[start + places[k]] = values[from + k];
    }
  });
}

/** Loads everything that the encoder reads, tensor by tensor. */
export async function loadEncoderWeights(load: WeightLoader, sizes: EncoderSizes): Promise<EncoderWeights> {
  const { channels, dModel, dimFeedforward, rnnHiddenSize: hidden, hasProjection, numEncoderLayers } = sizes;
  const embed = 'encoder.encoder_embed';
  const conv = (position: number, outputs: number, inputs: number) => {
    const name = `${embed}.conv.${position}`;
    // (channel, 3, 3) becomes (3, 3, channel); a single channel is not padded.
    const paddedChannels = inputs === 1 ? 1 : padded(inputs);
    return load.matrix(`${name}.weight`, [`${name}.bias`], [outputs, 9 * inputs], {
      input: (k) => (k % 9) * paddedChannels + Math.floor(k / 9),
      paddedInputs: 9 * paddedChannels,
      arithmetic: 'f32',
    });
  };
  const convs = [await conv(0, channels[0], 1), await conv(3, channels[1], channels[0])] as const;
  const lastConv = await conv(6, channels[2], channels[1]);
  // PyTorch flattens (channel, freq), the kernels keep (freq, channel).
  const freqs = subsampledFreqs(sizes.numFeatures)[2];
  const out = await load.matrix(`${embed}.out.weight`, [`${embed}.out.bias`], [dModel, channels[2] * freqs], {
    input: (k) => (k % freqs) * lastConv.outputs + Math.floor(k / freqs),
    paddedInputs: freqs * lastConv.outputs,
  });
  const normEps = await load.eps(`${embed}.out_norm.eps`);

  const gates: MatrixLayout = {
    output: (row) => Math.floor(row / hidden) * padded(hidden) + (row % hidden),
    paddedOutputs: 4 * padded(hidden),
  };
  const layers: LayerWeights[] = [];
  for (let l = 0; l < numEncoderLayers; l++) {
    const layer = `encoder.encoder.layers.${l}`;
    const lstm = `${layer}.lstm`;
    const [first, second] = [`${layer}.feed_forward.0`, `${layer}.feed_forward.4`];
    const biases = [`${lstm}.bias_ih_l0`, `${lstm}.bias_hh_l0`];
    layers.push({
      ih: await load.matrix(`${lstm}.weight_ih_l0`, biases, [4 * hidden, dModel], gates),
      hh: await load.matrix(`${lstm}.weight_hh_l0`, [], [4 * hidden, dModel], gates),
      hr: hasProjection ? await load.matrix(`${lstm}.weight_hr_l0`, [], [dModel, hidden]) : undefined,
      ff1: await load.matrix(`${first}.weight`, [`${first}.bias`], [dimFeedforward, dModel]),
      ff2: await load.matrix(`${second}.weight`, [`${second}.bias`], [dModel, dimFeedforward]),
      normEps: await load.eps(`${layer}.norm_final.eps`),
    });
  }
  return { convs: [...convs, lastConv], out, normEps, layers };
}
