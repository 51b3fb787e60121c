import type { Model } from '../../model/model.ts';
import type { Address, Kernels } from '../../wasm/kernels.ts';
import type { Heap } from '../../wasm/memory.ts';
import { padded } from '../../wasm/weights.ts';
import type { HiddenBatch } from '../batch.ts';
import { reduced, utterancesOf, type BatchLoss, type LossOptions, type Utterance } from '../losses/loss.ts';
import { fits, isSpike } from '../losses/targets.ts';
import { ctcUtterance } from './ctc.ts';
import { Layer, createScratch, rowsOf, type BatchRows } from './layer.ts';
import { Parameters, lengthOf } from './parameters.ts';
import { Products } from './products.ts';
import { spikeLoss } from './spike.ts';

/**
 * The last layers of a network and its CTC head on the CPU, in eval mode: forwards, losses, and back. It is what lessons
 * train where there is no GPU; the sums are `wasm/linear.ts`'s, in one order, so that a run repeats to the byte.
 */
export class CpuNetwork {
  readonly parameters: Parameters;
  readonly #heap: Heap;
  readonly #products: Products;
  readonly #layers: readonly Layer[];
  readonly #dModel: number;
  readonly #vocabSize: number;
  /** (rows, d_model): behind the last layer; its gradient. */
  readonly #out: Address;
  readonly #dOut: Address;
  /** (rows, vocabulary), padded: logits, then their gradient. */
  readonly #logits: Address;

  private constructor(kernels: Kernels, heap: Heap, parameters: Parameters, { sizes }: Model, capacity: BatchRows) {
    this.parameters = parameters;
    this.#heap = heap;
    this.#dModel = sizes.encoder.dModel;
    this.#vocabSize = sizes.vocabSize ?? 0;
    const rows = rowsOf(capacity);
    const widths = parameters.matrices.flatMap((matrix) => [matrix.rows, matrix.width]);
    const widest = Math.max(...widths);
    const longest = Math.max(rows * widest, ...parameters.matrices.map(lengthOf));
    this.#products = new Products(kernels, heap, longest, widest);
    const tools = { kernels, heap, products: this.#products, sizes: sizes.encoder, capacity };
    const scratch = createScratch(tools);
    this.#layers = parameters.layers.map((layer) => new Layer(tools, layer, scratch));
    this.#out = heap.keep(4 * rows * padded(this.#dModel));
    this.#dOut = heap.keep(4 * rows * padded(this.#dModel));
    this.#logits = heap.keep(4 * rows * padded(this.#vocabSize));
    this.prepare();
  }

  /**
   * @param from the first layer that is trained: batches have its input
   * @param capacity the largest batch
   * @throws RillError `bad-model` without a CTC head, or for weights that are not numbers; `no-memory`.
   */
  static async create(
    kernels: Kernels,
    heap: Heap,
    model: Model,
    from: number,
    capacity: BatchRows,
  ): Promise<CpuNetwork> {
    const parameters = await Parameters.load(heap, model.weights, model.sizes, from);
    return new CpuNetwork(kernels, heap, parameters, model, capacity);
  }

  /** Lays the matrices out for products: whenever they have changed. */
  prepare(): void {
    this.parameters.matrices.forEach((matrix) => {
      this.#products.prepare(matrix);
    });
  }

  /** Forgets the gradients of the batches before. */
  clearGradients(): void {
    this.parameters.all.forEach((parameter) => this.parameters.gradients(parameter).fill(0));
  }

  /** Adds the gradients of a batch, by the input of the first layer that is trained, to those that are there. */
  run(batch: HiddenBatch, options: LossOptions): BatchLoss {
    const utterances = utterancesOf(batch, options, fits);
    const rows = { utterances: utterances.length, frames: Math.max(...utterances.map(({ frames }) => frames)) };
    this.#upload(batch.hidden, rows);
    this.#layers.forEach((layer, i) => {
      layer.forwards(rows, this.#layers[i + 1]?.x ?? this.#out);
    });
    const { weight, bias } = this.parameters.head;
    const count = rowsOf(rows);
    this.#products.forwards(weight, bias.value, this.#out, this.#logits, count);
    const losses = this.#losses(utterances, rows);
    this.#products.weightGradient(weight, this.#logits, this.#out, count);
    this.#products.biasGradient(bias, this.#logits, count);
    this.#products.inputGradient(weight, this.#logits, this.#dOut, count);
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      this.#layers[i].backwards(rows, this.#dOut, i === 0);
    }
    return reduced(losses, utterances, options);
  }

  /** (utterances, frames, d_model) to rows that lie frame by frame. */
  #upload(hidden: Float32Array, { utterances, frames }: BatchRows): void {
    const width = this.#dModel;
    const x = this.#heap.floatsAt(this.#layers[0].x, utterances * frames * padded(width));
    for (let n = 0; n < utterances; n++) {
      for (let t = 0; t < frames; t++) {
        const from = (n * frames + t) * width;
        x.set(hidden.subarray(from, from + width), (t * utterances + n) * padded(width));
      }
    }
  }

  /** Of each utterance; logits become their gradients, zero behind an utterance's end. */
  #losses(utterances: readonly Utterance[], rows: BatchRows): Float32Array {
    const width = this.#vocabSize;
    const logits = this.#heap.floatsAt(this.#logits, rowsOf(rows) * padded(width));
    const losses = new Float32Array(utterances.length);
    utterances.forEach(({ target, frames, gradientWeight }, n) => {
      const place = (t: number) => (t * rows.utterances + n) * padded(width);
      const own = new Float64Array(frames * width);
      for (let t = 0; t < frames; t++) {
        own.set(logits.subarray(place(t), place(t) + width), t * width);
      }
      const { loss, dLogits } = isSpike(target) ? spikeLoss(own, target, width) : ctcUtterance(own, target, width);
      losses[n] = loss;
      for (let t = 0; t < rows.frames; t++) {
        const row = logits.subarray(place(t), place(t) + padded(width)).fill(0);
        for (let k = 0; t < frames && gradientWeight !== 0 && k < width; k++) {
          row[k] = gradientWeight * dLogits[t * width + k];
        }
      }
    });
    return losses;
  }
}
