import type { KernelSource, Resource, Workgroups } from '../webgpu/device/kernel.ts';
import * as kernels from './kernels.generated.ts';
import type { BatchSize, Operation, OperationMaker } from './operations.ts';
import type { Parameter } from './parameters.ts';

/** A product's kernel by where the matrix lies: in a buffer, or in a texture, with subgroups or without. */
export interface ProductKernels {
  buffer: KernelSource;
  texels: KernelSource;
  quads: KernelSource;
}

/** Linear layers, LSTM cells and projections, and the ways back through them. */
export const LINEAR = { buffer: kernels.linear, texels: kernels.linearTexels, quads: kernels.linearQuads };
export const INPUT_GRADIENT = {
  buffer: kernels.inputGradient,
  texels: kernels.inputGradientTexels,
  quads: kernels.inputGradientQuads,
};
export const CELL = { buffer: kernels.lstmCell, texels: kernels.lstmCellTexels, quads: kernels.lstmCellQuads };
export const CELL_GRADIENT = {
  buffer: kernels.lstmCellGradient,
  texels: kernels.lstmCellGradientTexels,
  quads: kernels.lstmCellGradientQuads,
};
export const PROJECTION = {
  buffer: kernels.lstmProjection,
  texels: kernels.lstmProjectionTexels,
  quads: kernels.lstmProjectionQuads,
};
export const OUTPUT_GRADIENT = {
  buffer: kernels.lstmOutputGradient,
  texels: kernels.lstmOutputGradientTexels,
  quads: kernels.lstmOutputGradientQuads,
};

/** vec4s that are summed over, and that come out. */
interface ProductSizes {
  inVec4s: number;
  outVec4s: number;
}

/** Rows of a thread, and vec4s of outputs of a workgroup. */
const TILES = {
  buffer: { tile: 4, outputs: 32 },
  texels: { tile: 8, outputs: 16 },
  quads: { tile: 8, outputs: 8 },
} as const;

/**
 * A product of rows with a parameter's matrix, by the kernel that goes with where it lies.
 *
 * @param overrides beside the sizes
 * @param resources beside the matrix
 * @param rowsOf rows of the product
 * @throws RillError `shader`.
 */
export function makeProduct(
  maker: OperationMaker,
  ways: ProductKernels,
  { value, texture }: Parameter,
  { inVec4s, outVec4s }: ProductSizes,
  resources: Readonly<Record<string, Resource>>,
  rowsOf: (size: BatchSize) => number,
  overrides: Readonly<Record<string, number>> = {},
): Promise<Operation> {
  const way = texture ? (maker.hasSubgroups ? 'quads' : 'texels') : 'buffer';
  const { tile, outputs } = TILES[way];
  const workgroups = (size: BatchSize): Workgroups => [
    Math.ceil(outVec4s / outputs),
    Math.ceil(rowsOf(size) / tile),
    1,
  ];
  const sizes = { in_vec4s: inVec4s, out_vec4s: outVec4s, tile };
  return maker.make(ways[way], { ...sizes, ...overrides }, { weight: texture ?? value, ...resources }, workgroups);
}

/** Rows of a whole batch. */
export const allRows = ({ utterances, frames }: BatchSize) => utterances * frames;

/** Rows of a frame. */
export const frameRows = ({ utterances }: BatchSize) => utterances;
