import type { KernelSource, Resource, Workgroups } from '../webgpu/device/kernel.ts';
import * as kernels from './kernels.generated.ts';
import type { BatchSize, Operation, OperationMaker } from './operations.ts';
import type { Parameter } from './parameters.ts';
import type { Precision } from './precision.ts';

/** A product's kernel by where the matrix lies: in a buffer, or in a texture; and there with subgroups, where it has one. */
export interface ProductKernels {
  buffer: KernelSource;
  texels: KernelSource;
  quads?: KernelSource;
}

/** Linear layers, LSTM cells and projections, and the ways back through them; by how a layer keeps what they read or write. */
export const LINEAR: Record<Precision, ProductKernels> = {
  f32: { buffer: kernels.linear, texels: kernels.linearTexels, quads: kernels.linearQuads },
  f16: { buffer: kernels.linearF16, texels: kernels.linearTexelsF16 },
};
export const INPUT_GRADIENT = {
  buffer: kernels.inputGradient,
  texels: kernels.inputGradientTexels,
  quads: kernels.inputGradientQuads,
};
export const CELL: Record<Precision, ProductKernels> = {
  f32: { buffer: kernels.lstmCell, texels: kernels.lstmCellTexels, quads: kernels.lstmCellQuads },
  f16: { buffer: kernels.lstmCellF16, texels: kernels.lstmCellTexelsF16 },
};
export const CELL_GRADIENT: Record<Precision, ProductKernels> = {
  f32: {
    buffer: kernels.lstmCellGradient,
    texels: kernels.lstmCellGradientTexels,
    quads: kernels.lstmCellGradientQuads,
  },
  f16: { buffer: kernels.lstmCellGradientF16, texels: kernels.lstmCellGradientTexelsF16 },
};
export const PROJECTION: Record<Precision, ProductKernels> = {
  f32: { buffer: kernels.lstmProjection, texels: kernels.lstmProjectionTexels, quads: kernels.lstmProjectionQuads },
  f16: { buffer: kernels.lstmProjectionF16, texels: kernels.lstmProjectionTexelsF16 },
};
export const OUTPUT_GRADIENT = {
  buffer: kernels.lstmOutputGradient,
  texels: kernels.lstmOutputGradientTexels,
  quads: kernels.lstmOutputGradientQuads,
};

/** A gradient of a matrix, by a kernel and the tile of its threads. */
interface WeightGradientWay {
  source: KernelSource;
  /** vec4s of outputs, and of inputs, of a thread. */
  tile: number;
  /** Of a workgroup. */
  threads: number;
}

/** By how the layer's input is kept. */
const WEIGHT_GRADIENT: Record<Precision, Record<'plain' | 'eights', KernelSource> & { quads?: KernelSource }> = {
  f32: {
    plain: kernels.weightGradient,
    eights: kernels.weightGradientEights,
    quads: kernels.weightGradientQuads,
  },
  f16: { plain: kernels.weightGradientF16, eights: kernels.weightGradientEightsF16 },
};

function weightGradientWay({ isSoftware, hasSubgroups }: OperationMaker, precision: Precision): WeightGradientWay {
  const { plain, eights, quads } = WEIGHT_GRADIENT[precision];
  if (!isSoftware) {
    return { source: plain, tile: 1, threads: 32 };
  }
  return hasSubgroups && quads ? { source: quads, tile: 2, threads: 4 } : { source: eights, tile: 2, threads: 8 };
}

/** Resources of {@link makeWeightGradient}. */
interface WeightGradientBuffers {
  dy: GPUBuffer;
  x: GPUBuffer;
  gradient: GPUBuffer;
  step: GPUBuffer;
}

/**
 * The gradient of a matrix of a product of rows.
 *
 * @param isDelayed whether the input is that of the frame before
 * @throws RillError `shader`.
 */
export function makeWeightGradient(
  maker: OperationMaker,
  { inVec4s, outVec4s }: ProductSizes,
  buffers: WeightGradientBuffers,
  { isDelayed, precision }: { isDelayed: boolean; precision: Precision },
): Promise<Operation> {
  const { source, tile, threads } = weightGradientWay(maker, precision);
  const sizes = { in_vec4s: inVec4s, out_vec4s: outVec4s, is_delayed: isDelayed ? 1 : 0, tile };
  const workgroups: Workgroups = [Math.ceil(inVec4s / tile / threads), Math.ceil(outVec4s / tile), 1];
  return maker.make<KernelSource>(source, sizes, { ...buffers }, () => workgroups);
}

/** vec4s that are summed over, and that come out. */
interface ProductSizes {
  inVec4s: number;
  outVec4s: number;
}

/** vec4s of outputs of a workgroup. */
const OUTPUTS = { buffer: 32, texels: 16, quads: 8 } as const;
/** Rows of a thread where the matrix lies in a buffer. */
const BUFFER_TILE = 4;

/** The rows of a product. */
interface ProductRows {
  of: (size: BatchSize) => number;
  /** Those of a thread where the matrix lies in a texture. */
  tile: number;
}

/** Those of a whole batch. */
export const allRows: ProductRows = { of: ({ utterances, frames }) => utterances * frames, tile: 8 };

/** Those of a frame: few, so that a larger tile is half empty, and takes twice as long to compile. */
export const frameRows: ProductRows = { of: ({ utterances }) => utterances, tile: 4 };

/**
 * A product of rows with a parameter's matrix, by the kernel that goes with where it lies.
 *
 * @param resources beside the matrix
 * @throws RillError `shader`.
 */
export function makeProduct(
  maker: OperationMaker,
  ways: ProductKernels,
  { value, texture }: Parameter,
  { inVec4s, outVec4s }: ProductSizes,
  resources: Readonly<Record<string, Resource>>,
  rows: ProductRows,
  { accumulate = false } = {},
): Promise<Operation> {
  const quads = maker.hasSubgroups ? ways.quads : undefined;
  const way = texture ? (quads ? 'quads' : 'texels') : 'buffer';
  const source = texture ? (quads ?? ways.texels) : ways.buffer;
  const tile = texture ? rows.tile : BUFFER_TILE;
  const workgroups = (size: BatchSize): Workgroups => [
    Math.ceil(outVec4s / OUTPUTS[way]),
    Math.ceil(rows.of(size) / tile),
    1,
  ];
  const sizes = { in_vec4s: inVec4s, out_vec4s: outVec4s, accumulate: accumulate ? 1 : 0, tile };
  return maker.make(source, sizes, { weight: texture ?? value, ...resources }, workgroups);
}
