import type { GpuContext } from './device/context.ts';
import { Kernel, type BoundKernel, type KernelSource, type Resource } from './device/kernel.ts';
import * as kernels from './kernels.generated.ts';
import { WEIGHT_BITS, type WeightDtype } from '../model/dtypes.ts';
import type { ModelSizes } from '../model/sizes.ts';
import type { Dispatch, Extent } from './dispatch.ts';
import { canBeTextures, canGather, weightBytes, type MatrixStorage, type WeightStorage } from './weights.ts';

/** Steps of so many rows (lanes x frames) and frames at most go in waves where the method is that. */
export const WAVE_ROWS = 16;
export const WAVE_FRAMES = 4;

/** From so many positions on, larger tiles leave enough workgroups. */
const MANY_POSITIONS = 64;
/** And when this share of them is used. */
const MOSTLY_FILLED = 0.8;

/** How a set of matrix kernels works. */
interface Traits {
  /** Features that the device must have. */
  features: readonly GPUFeatureName[];
  storage: MatrixStorage;
  /** Rows that a thread can cover, up to how many rows in all each is taken, and by kernels of which form. */
  tiles: readonly { tile: number; upTo: number; form: KernelForm }[];
}

/** The forms that kernels over matrices are written in. */
type KernelForm = 'plain' | 'split' | 'texels' | 'quads';

/** vec4s of outputs that each thread of a workgroup's first dimension has. */
const outputsPerThread = ({ storage }: Traits): number => (storage === 'texture' ? 2 : 1);

/**
 * The ways that the kernels over matrices can work; which is fastest depends on the adapter, see `chooseKernels`. All
 * do the same operations in the same order, and so give the same bytes.
 */
export const MATRIX_METHODS = ['plain', 'wide', 'split', 'waves', 'texels', 'quads'] as const;
export type MatrixMethod = (typeof MATRIX_METHODS)[number];

const SPLIT_TILES: Traits['tiles'] = [
  { tile: 1, upTo: 1, form: 'split' },
  { tile: 4, upTo: 16, form: 'split' },
  { tile: 4, upTo: Infinity, form: 'plain' },
];

const textureTiles = (form: KernelForm): Traits['tiles'] => [
  { tile: 1, upTo: 1, form },
  { tile: 4, upTo: 4, form },
  { tile: 8, upTo: Infinity, form },
];

const METHODS: Readonly<Record<MatrixMethod, Traits>> = {
  /** The oracle: a thread for four outputs, weights in storage buffers. */
  plain: {
    features: [],
    storage: 'buffer',
    tiles: [
      { tile: 1, upTo: 1, form: 'plain' },
      { tile: 4, upTo: Infinity, form: 'plain' },
    ],
  },
  /** As `plain`, and a thread for more rows where there are many: on some adapters loads take longer than sums. */
  wide: {
    features: [],
    storage: 'buffer',
    tiles: [
      { tile: 1, upTo: 1, form: 'plain' },
      { tile: 4, upTo: 8, form: 'plain' },
      { tile: 16, upTo: Infinity, form: 'plain' },
    ],
  },
  /** The threads of a workgroup share the sum over the inputs, too, as long as there are few rows to keep them busy. */
  split: { features: [], storage: 'buffer', tiles: SPLIT_TILES },
  /** As `split`; and steps of few rows go through several layers at a time, see waves.ts. */
  waves: { features: [], storage: 'buffer', tiles: SPLIT_TILES },
  /** Weights in textures. */
  texels: { features: [], storage: 'texture', tiles: textureTiles('texels') },
  /** As `texels`, and inputs shared within a quad. */
  quads: { features: ['subgroups'], storage: 'texture', tiles: textureTiles('quads') },
};

/** The methods of the second and third convolution, conv_strided: as for matrices. */
export const CONV_METHODS = ['plain', 'wide', 'texels', 'quads'] as const satisfies readonly MatrixMethod[];
export type ConvMethod = (typeof CONV_METHODS)[number];

/** Positions that a thread of each can cover. */
const CONV_TILES: Readonly<Record<ConvMethod, readonly number[]>> = {
  plain: [4],
  wide: [4, 16],
  texels: [4, 8],
  quads: [4, 8],
};
const CONV_SOURCES = {
  plain: kernels.convStrided,
  wide: kernels.convStrided,
  texels: kernels.convStridedTexels,
  quads: kernels.convStridedQuads,
} as const satisfies Record<ConvMethod, KernelSource>;

/** How the kernels that read weights work. */
export interface KernelChoice {
  convolutions: ConvMethod;
  matrices: MatrixMethod;
}

/** Where kernels of a choice expect their weights. */
export const storageFor = ({ convolutions, matrices }: KernelChoice): WeightStorage => ({
  convolutions: METHODS[convolutions].storage,
  matrices: METHODS[matrices].storage,
  gathered: matrices === 'waves',
});

/** The methods by which a device can run a network, the plain one first. */
export function ableMethods(context: GpuContext, sizes: ModelSizes, dtype: WeightDtype): MatrixMethod[] {
  return MATRIX_METHODS.filter(
    (method) =>
      METHODS[method].features.every((feature) => context.device.features.has(feature)) &&
      (METHODS[method].storage === 'buffer' || canBeTextures(context, sizes)) &&
      (method !== 'waves' || canGather(context, sizes.encoder, dtype)),
  );
}

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

  /** @param overrides of conv_strided, but for those of every convolution alike */
  static async compile(
    context: GpuContext,
    method: ConvMethod,
    overrides: Readonly<
      Record<
        Exclude<(typeof kernels.convStrided.overrides)[number], 'tile' | 'weight_bits' | 'in_vec4s' | 'block_vec4s'>,
        number
      >
    >,
  ): Promise<ConvKernel> {
    const window = 9 * overrides.channel_vec4s;
    const all = { ...overrides, weight_bits: WEIGHT_BITS.f32, in_vec4s: window, block_vec4s: window };
    const compiled = CONV_TILES[method].map(async (tile) => {
      return { tile, kernel: await Kernel.create(context, CONV_SOURCES[method], { ...all, tile }) };
    });
    return new ConvKernel(await Promise.all(compiled), method, overrides.out_vec4s);
  }

  /** @param positionsOf positions of a lane of so many frames */
  bind(
    resources: Resources<keyof typeof kernels.convStrided.bindings>,
    positionsOf: (frames: number) => number,
  ): Dispatch {
    const outputs = this.#outputs;
    const traits = METHODS[this.#method];
    const tiles = this.#kernels.map(({ tile, kernel }) => ({
      tile,
      kernel: kernel.bind(resources),
      width: kernel.source.workgroupSize[0] * outputsPerThread(traits),
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
          traits.storage === 'texture'
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
} as const satisfies Record<string, Record<KernelForm, KernelSource>>;

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
    forms: Readonly<Record<KernelForm, KernelSource>>,
    sizes: MatrixSizes & Readonly<Record<string, number>>,
    maxRows: number,
  ): Promise<MatrixKernel<Bindings>> {
    const traits = METHODS[this.#method];
    const { tiles } = traits;
    // No step has the rows for tiles beyond the first that takes the most of them.
    const needed = tiles.slice(0, 1 + tiles.findIndex(({ upTo }) => maxRows <= upTo));
    const compiled = needed.map(async ({ tile, upTo, form }) => {
      const overrides = { ...sizes, weight_bits: WEIGHT_BITS[this.#dtype], tile };
      const kernel = await Kernel.create(this.#context, forms[form], overrides);
      const groups = Math.ceil(sizes.out_vec4s / (kernel.source.workgroupSize[0] * outputsPerThread(traits)));
      return { tile, upTo, kernel, groups };
    });
    return new MatrixKernel(await Promise.all(compiled), this.#dtype);
  }
}
