import { WEIGHT_BITS, type WeightDtype } from '../model/dtypes.ts';
import type { GpuContext } from './device/context.ts';
import { Kernel, type BoundKernel, type KernelSource, type Resource } from './device/kernel.ts';
import type { Dispatch, Extent } from './dispatch.ts';
import * as kernels from './kernels.generated.ts';
import { METHODS, type Form, type MethodName } from './methods.ts';
import { weightBytes } from './weights.ts';

/** Steps of so many rows (lanes x frames) and frames at most go in waves where the method is that. */
export const WAVE_ROWS = 16;
export const WAVE_FRAMES = 4;

/** From so many positions on, larger tiles leave enough workgroups. */
const MANY_POSITIONS = 64;
/** And when this share of them is used. */
const MOSTLY_FILLED = 0.8;

/** conv_strided in each form. */
const CONV_SOURCES = {
  plain: kernels.convStrided,
  split: kernels.convStrided,
  texels: kernels.convStridedTexels,
  quads: kernels.convStridedQuads,
} as const satisfies Record<Form, KernelSource>;

/** What a matrix kernel's bindings are given, by name. */
type Resources<Bindings extends string> = Readonly<Record<Bindings, Resource>>;

/** A compiled kernel, of whichever method. */
interface Bindable<Bindings extends string> {
  source: KernelSource;
  bind(resources: Resources<Bindings>): BoundKernel;
}

/** conv_strided, of whichever method. */
export class ConvKernel {
  readonly #kernels: readonly { tile: number; kernel: Bindable<keyof typeof kernels.convStrided.bindings> }[];
  readonly #method: MethodName;
  readonly #outputs: number;

  private constructor(
    tiles: readonly { tile: number; kernel: Bindable<keyof typeof kernels.convStrided.bindings> }[],
    method: MethodName,
    outputs: number,
  ) {
    this.#kernels = tiles;
    this.#method = method;
    this.#outputs = outputs;
  }

  /** @param overrides of conv_strided, but for those of every convolution alike */
  static async compile(
    context: GpuContext,
    method: MethodName,
    overrides: Readonly<
      Record<
        Exclude<(typeof kernels.convStrided.overrides)[number], 'tile' | 'weight_bits' | 'in_vec4s' | 'block_vec4s'>,
        number
      >
    >,
  ): Promise<ConvKernel> {
    const window = 9 * overrides.channel_vec4s;
    const all = { ...overrides, weight_bits: WEIGHT_BITS.f32, in_vec4s: window, block_vec4s: window };
    const { convTiles = [], tiles } = METHODS[method];
    const source = CONV_SOURCES[tiles[0].form];
    const compiled = convTiles.map(async (tile) => ({
      tile,
      kernel: await Kernel.create(context, source, { ...all, tile }),
    }));
    return new ConvKernel(await Promise.all(compiled), method, overrides.out_vec4s);
  }

  /** @param positionsOf positions of a lane of so many frames */
  bind(
    resources: Resources<keyof typeof kernels.convStrided.bindings>,
    positionsOf: (frames: number) => number,
  ): Dispatch {
    const outputs = this.#outputs;
    const { outputVec4s, weightsIn } = METHODS[this.#method];
    const tiles = this.#kernels.map(({ tile, kernel }) => ({
      tile,
      kernel: kernel.bind(resources),
      width: kernel.source.workgroupSize[0] * outputVec4s,
    }));
    const [small, large = small] = tiles;
    return {
      name: small.kernel.name,
      weightBytes: weightBytes(resources.weight),
      run(pass, { lanes, frames }, offset) {
        const positions = positionsOf(frames);
        // A lane's last tile may be mostly empty.
        const filled = positions / (large.tile * Math.ceil(positions / large.tile));
        const few = lanes * positions < MANY_POSITIONS || filled < MOSTLY_FILLED;
        const { tile, kernel, width } = few ? small : large;
        const count = Math.ceil(positions / tile);
        const workgroups =
          weightsIn === 'texture'
            ? ([Math.ceil(outputs / width), count, lanes] as const)
            : ([Math.ceil((count * outputs) / width), 1, lanes] as const);
        kernel.dispatch(pass, workgroups, offset);
      },
    };
  }
}

/** A kernel over a matrix, compiled for so many rows of a thread. */
interface MatrixTile<Compiled> {
  tile: number;
  /** It is for steps of up to so many rows. */
  upTo: number;
  kernel: Compiled;
  /** Workgroups for all outputs. */
  groups: number;
}

/** A kernel over a matrix, compiled for each number of rows that a thread can cover. */
export class MatrixKernel<Bindings extends string> {
  readonly #tiles: readonly MatrixTile<Bindable<Bindings>>[];
  readonly #dtype: WeightDtype;

  constructor(tiles: readonly MatrixTile<Bindable<Bindings>>[], dtype: WeightDtype) {
    this.#tiles = tiles;
    this.#dtype = dtype;
  }

  /**
   * Joins the kernel with its matrix and buffers.
   *
   * @param rowsOf how many rows it covers in a layer: {@link allFrames} or {@link oneFrame}
   */
  bind(resources: Resources<Bindings | 'weight'>, rowsOf: RowsOf): Dispatch {
    const tiles = this.#tiles.map((each) => ({ ...each, kernel: each.kernel.bind(resources) }));
    return {
      name: tiles[0].kernel.name,
      weightBytes: weightBytes(resources.weight, this.#dtype),
      run(pass, extent, offset) {
        const rows = rowsOf(extent);
        const { kernel, tile, groups } = tiles.find(({ upTo }) => rows <= upTo) ?? tiles[0];
        kernel.dispatch(pass, [groups, Math.ceil(rows / tile), extent.layers], offset);
      },
    };
  }
}

/** Rows of a dispatch. */
export type RowsOf = (extent: Extent) => number;

/** Rows of the kernels that run over all frames at once, and of those that run over one frame of every lane. */
export const allFrames: RowsOf = ({ lanes, frames }) => lanes * frames;
export const oneFrame: RowsOf = ({ lanes }) => lanes;

/** Of an encoder's capacity, what its kernels need to know. */
export interface LargestStep {
  maxLanes: number;
  maxFrames: number;
}

/** Overrides of a kernel over a matrix. */
type MatrixSizes = Readonly<Record<'in_vec4s' | 'out_vec4s', number>>;

/** The kernels over matrices in each form. */
const FORMS = {
  linear: {
    plain: kernels.linear,
    split: kernels.linearSplit,
    texels: kernels.linearTexels,
    quads: kernels.linearQuads,
  },
  cell: {
    plain: kernels.lstmCell,
    split: kernels.lstmCellSplit,
    texels: kernels.lstmCellTexels,
    quads: kernels.lstmCellQuads,
  },
  projection: {
    plain: kernels.lstmProjection,
    split: kernels.lstmProjectionSplit,
    texels: kernels.lstmProjectionTexels,
    quads: kernels.lstmProjectionQuads,
  },
} as const satisfies Record<string, Record<Form, KernelSource>>;

/** Compiles the kernels over matrices of one method and dtype, for steps of up to so many lanes and frames. */
export class MatrixCompiler {
  readonly #context: GpuContext;
  readonly #method: MethodName;
  readonly #dtype: WeightDtype;
  readonly #largest: LargestStep;

  constructor(context: GpuContext, method: MethodName, dtype: WeightDtype, largest: LargestStep) {
    this.#context = context;
    this.#method = method;
    this.#dtype = dtype;
    this.#largest = largest;
  }

  linear(
    inVec4s: number,
    outVec4s: number,
    { doubleSwish = false, accumulate = false }: { doubleSwish?: boolean; accumulate?: boolean } = {},
  ): Promise<MatrixKernel<keyof typeof kernels.linear.bindings>> {
    const then = { is_swished: Number(doubleSwish), accumulate: Number(accumulate) };
    const { maxLanes, maxFrames } = this.#largest;
    return this.#compile(FORMS.linear, { in_vec4s: inVec4s, out_vec4s: outVec4s, ...then }, maxLanes * maxFrames);
  }

  /** @param projVec4s of h @param hidden units, padded */
  cell(
    projVec4s: number,
    hidden: number,
    layers: number,
  ): Promise<MatrixKernel<keyof typeof kernels.lstmCell.bindings>> {
    return this.#compile(FORMS.cell, { in_vec4s: projVec4s, out_vec4s: hidden, layers }, this.#largest.maxLanes);
  }

  /** @param hiddenVec4s of units @param projVec4s of h */
  projection(
    hiddenVec4s: number,
    projVec4s: number,
    layers: number,
  ): Promise<MatrixKernel<keyof typeof kernels.lstmProjection.bindings>> {
    const sizes = { in_vec4s: hiddenVec4s, out_vec4s: projVec4s, layers };
    return this.#compile(FORMS.projection, sizes, this.#largest.maxLanes);
  }

  /** A kernel over one frame in several layers at a time. */
  wave<Source extends KernelSource>(
    source: Source,
    sizes: Readonly<Record<Exclude<Source['overrides'][number], 'tile' | 'weight_bits'>, number>> & MatrixSizes,
  ): Promise<MatrixKernel<keyof Source['bindings'] & string>> {
    const forms = { plain: source, split: source, texels: source, quads: source };
    return this.#compile(forms, sizes, Math.min(WAVE_ROWS, this.#largest.maxLanes));
  }

  async #compile<Bindings extends string>(
    forms: Readonly<Record<Form, KernelSource>>,
    sizes: MatrixSizes & Readonly<Record<string, number>>,
    maxRows: number,
  ): Promise<MatrixKernel<Bindings>> {
    const { outputVec4s, tiles } = METHODS[this.#method];
    // No step has the rows for tiles beyond the first that takes the most of them.
    const needed = tiles.slice(0, 1 + tiles.findIndex(({ upTo }) => maxRows <= upTo));
    const compiled = needed.map(async ({ tile, upTo, form }) => {
      const overrides = { ...sizes, weight_bits: WEIGHT_BITS[this.#dtype], tile };
      const kernel = await Kernel.create(this.#context, forms[form], overrides);
      const groups = Math.ceil(sizes.out_vec4s / (kernel.source.workgroupSize[0] * outputVec4s));
      return { tile, upTo, kernel, groups };
    });
    return new MatrixKernel(await Promise.all(compiled), this.#dtype);
  }
}
