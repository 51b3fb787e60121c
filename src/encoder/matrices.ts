import type { GpuContext } from '../gpu/context.ts';
import { Kernel, type BoundKernel, type KernelSource } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import { WEIGHT_BITS, type WeightDtype } from '../model/dtypes.ts';
import type { Dispatch } from './dispatch.ts';
import { weightBytes, type MatrixStorage, type WeightStorage } from './weights.ts';

/** From so many positions on, larger tiles leave enough workgroups. */
const MANY_POSITIONS = 64;

/** How a set of matrix kernels works. */
interface Traits {
  /** Features that the device must have. */
  features: readonly GPUFeatureName[];
  storage: MatrixStorage;
  /**
   * Rows that a thread can cover, and up to how many rows in all each is taken; by the kernels of another method where
   * those are better at so many rows.
   */
  tiles: readonly { tile: number; upTo: number; by?: 'plain' }[];
}

/**
 * The ways that the kernels over matrices can work. All do the same operations in the same order, and so give the same
 * bytes; which is fastest depends on the adapter, see `chooseKernels`.
 */
export type MatrixMethod = 'plain' | 'split' | 'texels';

const METHODS: Readonly<Record<MatrixMethod, Traits>> = {
  /** The oracle: a thread for four outputs, weights in storage buffers. */
  plain: {
    features: [],
    storage: 'buffer',
    tiles: [
      { tile: 1, upTo: 1 },
      { tile: 4, upTo: Infinity },
    ],
  },
  /** The threads of a workgroup share the sum over the inputs, too, as long as there are few rows to keep them busy. */
  split: {
    features: [],
    storage: 'buffer',
    tiles: [
      { tile: 1, upTo: 1 },
      { tile: 4, upTo: 16 },
      { tile: 4, upTo: Infinity, by: 'plain' },
    ],
  },
  /** Weights in textures, inputs shared within a quad. */
  texels: {
    features: ['subgroups'],
    storage: 'texture',
    tiles: [
      { tile: 1, upTo: 1 },
      { tile: 4, upTo: 8 },
      { tile: 16, upTo: Infinity },
    ],
  },
};

/** The methods of the second and third convolution, conv_strided: as for matrices. */
export const CONV_METHODS = ['plain', 'texels'] as const satisfies readonly MatrixMethod[];
export type ConvMethod = (typeof CONV_METHODS)[number];

/** How the kernels that read weights work. */
export interface KernelChoice {
  convolutions: ConvMethod;
  matrices: MatrixMethod;
}

/** Where kernels of a choice expect their weights. */
export const storageFor = ({ convolutions, matrices }: KernelChoice): WeightStorage => ({
  convolutions: METHODS[convolutions].storage,
  matrices: METHODS[matrices].storage,
});

/** The methods that a device has the features for, the plain one first. */
export function ableMethods({ device }: GpuContext): MatrixMethod[] {
  const all = Object.keys(METHODS) as MatrixMethod[];
  return all.filter((method) => METHODS[method].features.every((feature) => device.features.has(feature)));
}

/** What a matrix kernel's bindings are given, by name. */
type Resources<Bindings extends string> = Readonly<Record<Bindings, GPUBuffer | GPUTexture>>;

/** A compiled kernel, of whichever method. */
interface Bindable<Bindings extends string> {
  source: KernelSource;
  bind(resources: Resources<Bindings>): BoundKernel;
}

/** conv_strided, of whichever method. */
export class ConvKernel {
  readonly #kernels: readonly { tile: number; kernel: Bindable<keyof typeof kernels.convStrided.bindings> }[];
  readonly #method: ConvMethod;
  readonly #outputs: number;

  private constructor(
    tiles: readonly { tile: number; kernel: Bindable<keyof typeof kernels.convStrided.bindings> }[],
    method: ConvMethod,
    outputs: number,
  ) {
    this.#kernels = tiles;
    this.#method = method;
    this.#outputs = outputs;
  }

  /** @param overrides of conv_strided */
  static async compile(
    context: GpuContext,
    method: ConvMethod,
    overrides: Readonly<Record<(typeof kernels.convStrided.overrides)[number], number>>,
  ): Promise<ConvKernel> {
    const tiles =
      method === 'plain'
        ? [{ tile: 4, kernel: await Kernel.create(context, kernels.convStrided, overrides) }]
        : await Promise.all(
            [4, 16].map(async (tile) => {
              return { tile, kernel: await Kernel.create(context, kernels.convStridedTexels, { ...overrides, tile }) };
            }),
          );
    return new ConvKernel(tiles, method, overrides.out_vec4s);
  }

  /** @param positionsOf positions of a lane of so many frames */
  bind(
    resources: Resources<keyof typeof kernels.convStrided.bindings>,
    positionsOf: (frames: number) => number,
  ): Dispatch {
    const outputs = this.#outputs;
    const inTiles = this.#method === 'texels';
    const tiles = this.#kernels.map(({ tile, kernel }) => ({
      tile,
      kernel: kernel.bind(resources),
      threads: kernel.source.workgroupSize[0],
    }));
    const [small, large = small] = tiles;
    return {
      name: small.kernel.name,
      weightBytes: weightBytes(resources.weight),
      run(pass, lanes, frames, offset) {
        const positions = positionsOf(frames);
        const { tile, kernel, threads } = lanes * positions < MANY_POSITIONS ? small : large;
        const count = Math.ceil(positions / tile);
        const workgroups = inTiles
          ? ([Math.ceil(outputs / threads), count, lanes] as const)
          : ([Math.ceil((count * outputs) / threads), lanes, 1] as const);
        kernel.dispatch(pass, workgroups, offset);
      },
    };
  }
}

/** A kernel over a matrix, compiled for each number of rows that a thread can cover. */
export class MatrixKernel<Bindings extends string> {
  readonly #tiles: readonly { tile: number; upTo: number; kernel: Bindable<Bindings> }[];
  /** vec4s of outputs. */
  readonly #outputs: number;
  readonly #dtype: WeightDtype;

  constructor(
    tiles: readonly { tile: number; upTo: number; kernel: Bindable<Bindings> }[],
    outputs: number,
    dtype: WeightDtype,
  ) {
    this.#tiles = tiles;
    this.#outputs = outputs;
    this.#dtype = dtype;
  }

  /**
   * Joins the kernel with its matrix and buffers.
   *
   * @param rowsOf how many rows a step has: {@link allFrames} or {@link oneFrame}
   */
  bind(resources: Resources<Bindings | 'weight'>, rowsOf: (lanes: number, frames: number) => number): Dispatch {
    const tiles = this.#tiles.map(({ kernel, ...tile }) => {
      return {
        ...tile,
        kernel: kernel.bind(resources),
        groups: Math.ceil(this.#outputs / kernel.source.workgroupSize[0]),
      };
    });
    return {
      name: tiles[0].kernel.name,
      weightBytes: weightBytes(resources.weight, this.#dtype),
      run(pass, lanes, frames, offset) {
        const rows = rowsOf(lanes, frames);
        const { kernel, tile, groups } = tiles.find(({ upTo }) => rows <= upTo) ?? tiles[0];
        kernel.dispatch(pass, [groups, Math.ceil(rows / tile), 1], offset);
      },
    };
  }
}

/** Rows of the kernels that run over all frames at once, and of those that run over one frame of every lane. */
export const allFrames = (lanes: number, frames: number) => lanes * frames;
export const oneFrame = (lanes: number) => lanes;

/** Of an encoder's capacity, what its kernels need to know. */
export interface LargestStep {
  maxLanes: number;
  maxFrames: number;
}

type LinearKernel = MatrixKernel<keyof typeof kernels.linear.bindings>;

/** Compiles the kernels over matrices of one method and dtype, for steps of up to so many lanes and frames. */
export class MatrixCompiler {
  readonly #context: GpuContext;
  readonly #method: MatrixMethod;
  readonly #dtype: WeightDtype;
  readonly #largest: LargestStep;

  constructor(context: GpuContext, method: MatrixMethod, dtype: WeightDtype, largest: LargestStep) {
    this.#context = context;
    this.#method = method;
    this.#dtype = dtype;
    this.#largest = largest;
  }

  /** @param inputs vec4s @param outputs vec4s */
  linear(
    inputs: number,
    outputs: number,
    { doubleSwish = false, accumulate = false }: { doubleSwish?: boolean; accumulate?: boolean } = {},
  ): Promise<LinearKernel> {
    const sizes = {
      in_vec4s: inputs,
      out_vec4s: outputs,
      double_swish: Number(doubleSwish),
      accumulate: Number(accumulate),
    };
    const sources = { plain: kernels.linear, split: kernels.linearSplit, texels: kernels.linearTexels };
    return this.#compile(sources, sizes, outputs, this.#largest.maxLanes * this.#largest.maxFrames);
  }

  /** @param width vec4s of h @param hidden units, padded */
  cell(width: number, hidden: number, layers: number): Promise<MatrixKernel<keyof typeof kernels.lstmCell.bindings>> {
    const sources = { plain: kernels.lstmCell, split: kernels.lstmCellSplit, texels: kernels.lstmCellTexels };
    return this.#compile(sources, { proj_vec4s: width, hidden, layers }, hidden, this.#largest.maxLanes);
  }

  /** @param hidden vec4s of units @param width vec4s of h */
  projection(
    hidden: number,
    width: number,
    layers: number,
  ): Promise<MatrixKernel<keyof typeof kernels.lstmProjection.bindings>> {
    const sources = {
      plain: kernels.lstmProjection,
      split: kernels.lstmProjectionSplit,
      texels: kernels.lstmProjectionTexels,
    };
    return this.#compile(sources, { hidden_vec4s: hidden, proj_vec4s: width, layers }, width, this.#largest.maxLanes);
  }

  async #compile<Bindings extends string>(
    sources: Readonly<Record<MatrixMethod, KernelSource>>,
    sizes: Readonly<Record<string, number>>,
    outputs: number,
    maxRows: number,
  ): Promise<MatrixKernel<Bindings>> {
    const { storage, tiles } = METHODS[this.#method];
    // No step has the rows for tiles beyond the first that takes the most of them.
    const needed = tiles.slice(0, 1 + tiles.findIndex(({ upTo }) => maxRows <= upTo));
    const overrides: Record<string, number> = { ...sizes };
    if (storage === 'buffer') {
      overrides.weight_bits = WEIGHT_BITS[this.#dtype];
    } else {
      overrides.int8 = Number(this.#dtype === 'int8');
    }
    const compiled = needed.map(async ({ tile, upTo, by = this.#method }) => {
      const kernel = await Kernel.create(this.#context, sources[by], { ...overrides, tile });
      return { tile, upTo, kernel };
    });
    return new MatrixKernel(await Promise.all(compiled), outputs, this.#dtype);
  }
}
