import { encoderFrames, type EncoderSizes } from '../model/sizes.ts';
import { CONV_TIMES, timesOf } from '../webgpu/buffers.ts';
import type { BufferScope } from '../webgpu/device/context.ts';
import { vec4s } from '../webgpu/weights.ts';
import { balancersActing, type DrawStep, type Draws } from './draws.ts';
import * as kernels from './kernels.generated.ts';
import { byRow, byThread, byUtterance, type BatchSize, type Operation, type OperationMaker } from './operations.ts';
import type { Parameter } from './parameters.ts';
import { INPUT_GRADIENT, allRows, makeProduct } from './products.ts';
import type { ShapingOptions } from './shaping-options.ts';

/** What a channel may be: shares of values above zero, and a mean size. */
interface Bounds {
  min_positive: number;
  max_positive: number;
  max_abs: number;
}

/** Behind a convolution or a linear layer, behind the embedding's norm, and before a layer's. */
const INNER: Bounds = { min_positive: 0.05, max_positive: 0.95, max_abs: 100 };
const EMBEDDED: Bounds = { min_positive: 0.45, max_positive: 0.55, max_abs: 100 };
const BEFORE_NORM: Bounds = { min_positive: 0.45, max_positive: 0.55, max_abs: 6 };

/** Where a balancer is: its number among all, and what its values may be. */
interface Site {
  index: number;
  bounds: Bounds;
}

/** The sites of balancers. */
export const BALANCERS = {
  conv: (conv: number): Site => ({ index: conv, bounds: INNER }),
  embedding: { index: 3, bounds: EMBEDDED },
  feedForward: (layer: number): Site => ({ index: 4 + 2 * layer, bounds: INNER }),
  beforeNorm: (layer: number): Site => ({ index: 5 + 2 * layer, bounds: BEFORE_NORM }),
  count: (layers: number) => 4 + 2 * layers,
} as const;

/** Places of values on the way back: one for each frame, or those of a convolution. */
interface Places {
  freqs: number;
  times: (typeof CONV_TIMES)[number];
}

const FRAMES: Places = { freqs: 1, times: CONV_TIMES[2] };

/** What operations of shaping are made with. */
interface Made {
  maker: OperationMaker;
  step: GPUBuffer;
}

/** The operations of shaping, none where it is off, and which of them act in a batch. */
export class Shaping {
  readonly #options: ShapingOptions;
  readonly #layers: number;
  readonly #queue: GPUQueue;
  /** (utterances) encoder frames. */
  readonly #lens: GPUBuffer;
  /** (1 + utterances) */
  readonly #factors: GPUBuffer;
  /** (utterances) */
  readonly #norms: GPUBuffer;
  /** Of the balancer that acts. */
  readonly #pushes: GPUBuffer;
  #acting: readonly boolean[] = [];

  constructor(scope: BufferScope, sizes: EncoderSizes, { utterances }: BatchSize, options: ShapingOptions = {}) {
    this.#options = options;
    this.#layers = sizes.numEncoderLayers;
    this.#queue = scope.context.device.queue;
    const floats = (label: string, count: number) => scope.createStorage('activations', label, 4 * count);
    this.#lens = floats('encoder frames', utterances);
    this.#norms = floats('norms of gradients', utterances);
    this.#factors = floats('factors of the gradient filter', 1 + utterances);
    const { channels, dModel, dimFeedforward } = sizes;
    this.#pushes = floats('pushes of a balancer', 8 * vec4s(Math.max(...channels, dModel, dimFeedforward)));
  }

  /** Takes a batch's lengths, and which balancers act: as given, or drawn. @param lens feature frames of each utterance */
  begin(lens: readonly number[], draws: Draws | DrawStep | undefined): void {
    if (!this.#options.balancers || !draws) {
      return;
    }
    this.#queue.writeBuffer(this.#lens, 0, Uint32Array.from(lens, encoderFrames));
    this.#acting = 'seed' in draws ? balancersActing(draws, BALANCERS.count(this.#layers)) : (draws.balancers ?? []);
  }

  /**
   * A balancer on the way back.
   *
   * @param x what it is on, and its gradient dx, which it changes
   * @throws RillError `shader`.
   */
  balancer(
    { maker, step }: Made,
    { index, bounds }: Site,
    { x, dx }: { x: GPUBuffer; dx: GPUBuffer },
    rowVec4s: number,
    { freqs, times }: Places = FRAMES,
  ): Promise<Operation>[] {
    if (!this.#options.balancers) {
      return [];
    }
    const places = { out_freqs: freqs, times_per_frame: times.perFrame, times_extra: times.extra };
    const sizes = { ...places, row_vec4s: rowVec4s };
    const pushes = this.#pushes;
    const operations = [
      maker.make(kernels.balancerPushes, { ...sizes, ...bounds }, { x, lens: this.#lens, pushes, step }, () => [
        rowVec4s,
        1,
        1,
      ]),
      maker.make(kernels.balancer, sizes, { x, pushes, dx, step }, ({ utterances, frames }) =>
        byThread(timesOf(times, frames) * utterances * freqs * rowVec4s),
      ),
    ];
    return operations.map(async (each) => this.#whereActing(index, await each));
  }

  #whereActing(index: number, operation: Operation): Operation {
    return {
      name: operation.name,
      run: (pass, size, ordinal) => {
        if (this.#acting[index]) {
          operation.run(pass, size, ordinal);
        }
      },
    };
  }

  /**
   * The gradient filter of an LSTM on the way back, before the gradients of its weights: what they are made of is filtered, and
   * the gradient of its input, which is made here, is added to that of the layer's.
   *
   * @throws RillError `shader`.
   */
  filter({ maker, step }: Made, { weight, dz, dh, dx, dOut, d, units }: FilteredLstm): Promise<Operation>[] {
    if (!this.#options.gradientFilter) {
      return [];
    }
    const [factors, norms] = [this.#factors, this.#norms];
    const row = { row_vec4s: d };
    const filtered = (y: GPUBuffer, rowVec4s: number) =>
      maker.make(kernels.filterWeights, { row_vec4s: rowVec4s }, { y, factors, step }, byRow);
    return [
      makeProduct(maker, INPUT_GRADIENT, weight, { inVec4s: units, outVec4s: d }, { dy: dz, dx, step }, allRows),
      maker.make(kernels.filterNorms, row, { dx, norms, step }, byUtterance),
      maker.make(kernels.filterFactors, {}, { norms, factors, step }, () => [1, 1, 1]),
      ...(dOut ? [maker.make(kernels.filterAdd, row, { x: dx, y: dOut, factors, step }, byRow)] : []),
      filtered(dz, units),
      ...(dh ? [filtered(dh, d)] : []),
    ];
  }
}

/** An LSTM on the way back. */
interface FilteredLstm {
  /** (4 hidden, d) of its input. */
  weight: Parameter;
  /** (rows, hidden, 4) gradients of its gates. */
  dz: GPUBuffer;
  /** (rows, d) gradient of its output, where it has a projection. */
  dh?: GPUBuffer;
  /** (rows, d) room for the gradient of its input. */
  dx: GPUBuffer;
  /** (rows, d) what that is added to, where it is wanted. */
  dOut?: GPUBuffer;
  /** vec4s of a row of its input, and of its gates. */
  d: number;
  units: number;
}
