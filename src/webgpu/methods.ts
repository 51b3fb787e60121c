/**
 * The ways in which kernels over matrices and convolutions can work; which is fastest depends on the adapter, see
 * `tuning/`. All do the same operations in the same order, and so give the same bytes.
 */
import { type WeightDtype } from '../model/dtypes.ts';
import type { ModelSizes } from '../model/sizes.ts';
import type { GpuContext } from './device/context.ts';
import { canBeTextures, canGather, type WeightStorage } from './weights.ts';

/** The kernels of one method. */
export interface Method {
  /** Features that the device must have. */
  features: readonly GPUFeatureName[];
  /** What weights lie in. */
  weightsIn: 'buffer' | 'texture';
  /** vec4s of outputs that each thread of a workgroup's first dimension has. */
  outputVec4s: 1 | 2;
  /** Rows that a thread can cover, up to how many rows in all each is taken, and by shaders of which form. */
  tiles: readonly { tile: number; upTo: number; form: Form }[];
  /** Positions that a thread of a convolution can cover; without, the convolutions are those of another method. */
  convTiles?: readonly number[];
}

/** The forms that shaders over matrices are written in. */
export type Form = 'plain' | 'split' | 'texels' | 'quads';

const SPLIT: Method = {
  features: [],
  weightsIn: 'buffer',
  outputVec4s: 1,
  tiles: [
    { tile: 1, upTo: 1, form: 'split' },
    { tile: 4, upTo: 16, form: 'split' },
    { tile: 4, upTo: Infinity, form: 'plain' },
  ],
};

const inTextures = (form: Form, features: Method['features']): Method => ({
  features,
  weightsIn: 'texture',
  outputVec4s: 2,
  tiles: [
    { tile: 1, upTo: 1, form },
    { tile: 4, upTo: 4, form },
    { tile: 8, upTo: Infinity, form },
  ],
  convTiles: [4, 8],
});

export const METHOD_NAMES = ['plain', 'wide', 'split', 'waves', 'texels', 'quads'] as const;
export type MethodName = (typeof METHOD_NAMES)[number];

export const METHODS: Readonly<Record<MethodName, Method>> = {
  /** The oracle: a thread for four outputs, weights in storage buffers. */
  plain: {
    features: [],
    weightsIn: 'buffer',
    outputVec4s: 1,
    tiles: [
      { tile: 1, upTo: 1, form: 'plain' },
      { tile: 4, upTo: Infinity, form: 'plain' },
    ],
    convTiles: [4],
  },
  /** As `plain`, and a thread for more rows where there are many: on some adapters loads take longer than sums. */
  wide: {
    features: [],
    weightsIn: 'buffer',
    outputVec4s: 1,
    tiles: [
      { tile: 1, upTo: 1, form: 'plain' },
      { tile: 4, upTo: 8, form: 'plain' },
      { tile: 16, upTo: Infinity, form: 'plain' },
    ],
    convTiles: [4, 16],
  },
  /** The threads of a workgroup share the sum over the inputs, too, as long as there are few rows to keep them busy. */
  split: SPLIT,
  /** As `split`; and steps of few rows go through several layers at a time, see waves.ts. */
  waves: SPLIT,
  /** Weights in textures. */
  texels: inTextures('texels', []),
  /** As `texels`, and inputs shared within a quad. */
  quads: inTextures('quads', ['subgroups']),
};

/** The methods of the convolutions and of the matrices: the fastest may differ. */
export interface KernelChoice {
  /** One that has tiles of its own for them. */
  convolutions: MethodName;
  matrices: MethodName;
}

/** Methods that have convolutions of their own. */
export const CONV_METHOD_NAMES = METHOD_NAMES.filter((name) => METHODS[name].convTiles !== undefined);

/** Where kernels of a choice expect their weights. */
export const storageFor = ({ convolutions, matrices }: KernelChoice): WeightStorage => ({
  convolutions: METHODS[convolutions].weightsIn,
  matrices: METHODS[matrices].weightsIn,
  gathered: matrices === 'waves',
});

/** The methods by which a device can run a network, the plain one first. */
export function ableMethods(context: GpuContext, sizes: ModelSizes, dtype: WeightDtype): MethodName[] {
  return METHOD_NAMES.filter(
    (name) =>
      METHODS[name].features.every((feature) => context.device.features.has(feature)) &&
      (METHODS[name].weightsIn === 'buffer' || canBeTextures(context, sizes)) &&
      (name !== 'waves' || canGather(context, sizes.encoder, dtype)),
  );
}
