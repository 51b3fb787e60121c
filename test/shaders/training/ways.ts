import type { KernelSource, Workgroups } from '../../../src/webgpu/device/kernel.ts';
import { alsoInAll } from '../../support/scope.ts';
import { ceilDiv, describeKernel, type KernelCase } from '../harness.ts';

/** A product's kernels, as `makeProduct` has them. */
interface Ways<Source> {
  buffer: Source;
  texels: KernelSource;
  quads: KernelSource;
}

/** A case of a product: its matrix as it lies in a buffer, its rows, and what else the kernel takes. */
interface ProductCase extends Omit<KernelCase<KernelSource>, 'overrides' | 'workgroups'> {
  overrides: Readonly<Record<string, number>> & { in_vec4s: number; out_vec4s: number };
  rows: number;
  /** vec4s of a row of the matrix. */
  columns: number;
}

/** vec4s of a workgroup of each way. */
const OUTPUTS = [
  ['buffer', 32],
  ['quads', 8],
  ['texels', 16],
] as const;
/** Rows of a thread: more where the matrix lies in a texture, and the product is one of all rows. */
const tileOf = (way: keyof Ways<unknown>, buffers: object) => (way === 'buffer' || 'at' in buffers ? 4 : 8);

/**
 * A product in all its ways, against its twin, and that in a buffer through the race detector. Kernels of tiles of eight take long to compile: of these the last case with
 * tests of everything, the others in the long suite.
 */
export function describeProduct(
  kernels: Ways<KernelSource>,
  cases: readonly ProductCase[],
  isRaced?: (each: { name: string }) => boolean,
): void {
  for (const [way, outputs] of OUTPUTS) {
    const own = cases.map(({ rows, columns, overrides, buffers, ...rest }): KernelCase<KernelSource> => {
      const tile = tileOf(way, buffers);
      const workgroups: Workgroups = [ceilDiv(overrides.out_vec4s, outputs), ceilDiv(rows, tile), 1];
      const { weight } = buffers;
      const texels = weight instanceof Float32Array && {
        texels: weight,
        format: 'rgba32float' as const,
        size: [columns, weight.length / 4 / columns] as const,
      };
      const given = way === 'buffer' || !texels ? buffers : { ...buffers, weight: texels };
      return { ...rest, overrides: { ...overrides, tile }, buffers: given, workgroups };
    });
    const chosen =
      way === 'buffer'
        ? own
        : alsoInAll(way === 'quads' ? own.slice(-1) : [], own.slice(0, way === 'quads' ? -1 : undefined));
    if (chosen.length > 0) {
      describeKernel(
        kernels[way],
        chosen,
        way === 'buffer' ? isRaced && { raced: own.filter(isRaced) } : { raced: [] },
      );
    }
  }
}
