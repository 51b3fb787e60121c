import type { EncoderSizes } from '../../model/sizes.ts';
import type { Address, Kernels } from '../../wasm/kernels.ts';
import type { Heap } from '../../wasm/memory.ts';
import { padded } from '../../wasm/weights.ts';
import type { LayerParameters } from './parameters.ts';
import type { Products } from './products.ts';

/** A batch: its rows lie frame by frame, of all utterances each, so that a frame is a block of memory. */
export interface BatchRows {
  utterances: number;
  /** Of the longest of them. */
  frames: number;
}

export const rowsOf = ({ utterances, frames }: BatchRows) => utterances * frames;

/** What all layers need. */
export interface LayerTools {
  kernels: Kernels;
  heap: Heap;
  products: Products;
  sizes: EncoderSizes;
  /** The largest batch. */
  capacity: BatchRows;
}

/** Arrays of one layer at a time, of the way back; widths are padded. */
export interface Scratch {
  /** (rows, d_model) */
  dh: Address;
  /** (rows, dim_feedforward) */
  du: Address;
  /** (utterances, hidden) */
  dm: Address;
  /** (utterances, hidden) */
  dc: Address;
}

/** @throws RillError `no-memory`. */
export function createScratch({ heap, sizes, capacity }: LayerTools): Scratch {
  const rows = rowsOf(capacity);
  const hidden = capacity.utterances * padded(sizes.rnnHiddenSize);
  return {
    dh: heap.keep(4 * rows * padded(sizes.dModel)),
    du: heap.keep(4 * rows * padded(sizes.dimFeedforward)),
    dm: heap.keep(4 * hidden),
    dc: heap.keep(4 * hidden),
  };
}

/**
 * A layer of the encoder over whole utterances from zero states, in eval mode, with its gradients: the same arithmetic as
 * the kernels on the GPU, written in `test/training/twins/encoder-layer.ts`.
 */
export class Layer {
  /** (rows, d_model): what it takes in. */
  readonly x: Address;
  readonly #tools: LayerTools;
  readonly #parameters: LayerParameters;
  readonly #scratch: Scratch;
  readonly #d: number;
  readonly #hidden: number;
  readonly #feedForward: number;
  /** (rows, 4, hidden): before their nonlinearities; on the way back their gradients take their place. */
  readonly #gates: Address;
  /** (frames + 1, utterances, hidden) and (…, d_model): the first are the zeros that all starts from. */
  readonly #c: Address;
  readonly #h: Address;
  /** (rows, hidden) */
  readonly #m: Address;
  /** (rows, d_model): behind the LSTM, and behind the feed-forward. */
  readonly #x1: Address;
  readonly #x2: Address;
  /** (rows, dim_feedforward): before and behind the swish. */
  readonly #a: Address;
  readonly #u: Address;
  /** (4 hidden): both biases together. */
  readonly #bias: Address;

  /** @throws RillError `no-memory`. */
  constructor(tools: LayerTools, parameters: LayerParameters, scratch: Scratch) {
    const { heap, sizes, capacity } = tools;
    this.#tools = tools;
    this.#parameters = parameters;
    this.#scratch = scratch;
    this.#d = padded(sizes.dModel);
    this.#hidden = padded(sizes.rnnHiddenSize);
    this.#feedForward = padded(sizes.dimFeedforward);
    const rows = rowsOf(capacity);
    const room = (width: number, count = rows) => heap.keep(4 * count * width);
    this.x = room(this.#d);
    this.#gates = room(4 * this.#hidden);
    this.#c = room(this.#hidden, rows + capacity.utterances);
    this.#h = room(this.#d, rows + capacity.utterances);
    // Without a projection h is m.
    this.#m = parameters.hr ? room(this.#hidden) : 0;
    this.#x1 = room(this.#d);
    this.#x2 = room(this.#d);
    this.#a = room(this.#feedForward);
    this.#u = room(this.#feedForward);
    this.#bias = room(4 * this.#hidden, 1);
  }

  /** From {@link x} to (rows, d_model). */
  forwards(batch: BatchRows, y: Address): void {
    const { kernels, products } = this.#tools;
    const { ff1, bias1, ff2, bias2 } = this.#parameters;
    const rows = rowsOf(batch);
    const ofModel = rows * this.#d;
    const ofFeedForward = rows * this.#feedForward;
    this.#lstm(batch);
    this.#copy(this.x, this.#x1, ofModel);
    kernels.add(this.#h + this.#frame(this.#d, batch), this.#x1, ofModel);
    products.forwards(ff1, bias1.value, this.#x1, this.#a, rows);
    this.#copy(this.#a, this.#u, ofFeedForward);
    kernels.doubleSwish(this.#u, ofFeedForward);
    products.forwards(ff2, bias2.value, this.#u, this.#x2, rows);
    kernels.add(this.#x1, this.#x2, ofModel);
    this.#copy(this.#x2, y, ofModel);
    kernels.basicNorm(y, rows, this.#tools.sizes.dModel, this.#d, this.#eps);
  }

  #lstm(batch: BatchRows): void {
    const { kernels, products } = this.#tools;
    const { ih, hh, hr, biasIh, biasHh } = this.#parameters;
    const { utterances, frames } = batch;
    const [ofGates, ofC, ofH] = [4 * this.#hidden, this.#hidden, this.#d].map((width) => this.#frame(width, batch));
    this.#copy(biasIh.value, this.#bias, 4 * this.#hidden);
    kernels.add(biasHh.value, this.#bias, 4 * this.#hidden);
    products.forwards(ih, this.#bias, this.x, this.#gates, rowsOf(batch));
    this.#clear(this.#c, utterances * this.#hidden);
    this.#clear(this.#h, utterances * this.#d);
    for (let t = 0; t < frames; t++) {
      const [gates, c, h] = [this.#gates + t * ofGates, this.#c + t * ofC, this.#h + t * ofH];
      if (t > 0) {
        products.forwards(hh, undefined, h, gates, utterances, true);
      }
      this.#copy(c, c + ofC, utterances * this.#hidden);
      const m = hr ? this.#m + t * ofC : h + ofH;
      kernels.lstmCell(gates, c + ofC, m, utterances, this.#hidden);
      if (hr) {
        products.forwards(hr, undefined, m, h + ofH, utterances);
      }
    }
  }

  /**
   * Adds to the gradients of its parameters.
   *
   * @param dy (rows, d_model) the gradient of what it gave, whose place its input's gradient takes
   * @param isLowest whether nothing below it is trained: its input's gradient is not computed then
   */
  backwards(batch: BatchRows, dy: Address, isLowest: boolean): void {
    const { kernels, products, heap, sizes } = this.#tools;
    const { ff1, bias1, ff2, bias2, eps } = this.#parameters;
    const { du } = this.#scratch;
    const rows = rowsOf(batch);
    const dEps = kernels.basicNormGradient(this.#x2, dy, rows, sizes.dModel, this.#d, this.#eps);
    heap.floatsAt(eps.gradient, 1)[0] += dEps;
    products.weightGradient(ff2, dy, this.#u, rows);
    products.biasGradient(bias2, dy, rows);
    products.inputGradient(ff2, dy, du, rows);
    kernels.doubleSwishGradient(this.#a, du, rows * this.#feedForward);
    products.weightGradient(ff1, du, this.#x1, rows);
    products.biasGradient(bias1, du, rows);
    products.inputGradient(ff1, du, dy, rows, true);
    this.#lstmBackwards(batch, dy, isLowest);
  }

  /** @param dx1 gradient of the sum of input and LSTM */
  #lstmBackwards(batch: BatchRows, dx1: Address, isLowest: boolean): void {
    const { products } = this.#tools;
    const { ih, hh, hr, biasIh, biasHh } = this.#parameters;
    const rows = rowsOf(batch);
    const dz = this.#gates;
    this.#copy(dx1, this.#scratch.dh, rows * this.#d);
    this.#cellsBackwards(batch);
    if (hr) {
      products.weightGradient(hr, this.#scratch.dh, this.#m, rows);
    }
    products.weightGradient(hh, dz, this.#h, rows);
    products.weightGradient(ih, dz, this.x, rows);
    products.biasGradient(biasIh, dz, rows);
    products.biasGradient(biasHh, dz, rows);
    if (!isLowest) {
      products.inputGradient(ih, dz, dx1, rows, true);
    }
  }

  /** Back in time: gates become their gradients. */
  #cellsBackwards(batch: BatchRows): void {
    const { kernels, products } = this.#tools;
    const { hh, hr } = this.#parameters;
    const { utterances, frames } = batch;
    const { dc } = this.#scratch;
    const [ofGates, ofC, ofH] = [4 * this.#hidden, this.#hidden, this.#d].map((width) => this.#frame(width, batch));
    this.#clear(dc, utterances * this.#hidden);
    for (let t = frames - 1; t >= 0; t--) {
      const [gates, c, dh] = [this.#gates + t * ofGates, this.#c + t * ofC, this.#scratch.dh + t * ofH];
      if (t + 1 < frames) {
        products.inputGradient(hh, gates + ofGates, dh, utterances, true);
      }
      if (hr) {
        products.inputGradient(hr, dh, this.#scratch.dm, utterances);
      }
      const dm = hr ? this.#scratch.dm : dh;
      kernels.lstmCellGradient(gates, c + ofC, c, dm, dc, utterances, this.#hidden);
    }
  }

  /** BasicNorm's eps: it is stored as a logarithm. */
  get #eps(): number {
    return Math.exp(this.#tools.heap.floatsAt(this.#parameters.eps.value, 1)[0]);
  }

  /** Bytes from one frame to the next. */
  #frame(width: number, { utterances }: BatchRows): number {
    return 4 * utterances * width;
  }

  #copy(from: Address, to: Address, count: number): void {
    this.#tools.heap.floats.copyWithin(to / 4, from / 4, from / 4 + count);
  }

  #clear(at: Address, count: number): void {
    this.#tools.heap.floatsAt(at, count).fill(0);
  }
}
