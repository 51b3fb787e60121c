import type { BoundKernel, Workgroups } from './device/kernel.ts';

/** How much a dispatch covers. */
export interface Extent {
  lanes: number;
  /** Encoder frames of the longest lane. */
  frames: number;
  /** Layers at a time: 1 but in waves. */
  layers: number;
}

/** One dispatch of a step. */
export interface Dispatch {
  /** Of its kernel. */
  name: string;
  /** Bytes of the matrices that it reads in a layer. */
  weightBytes: number;
  /** @param offset of the dynamic uniform, in bytes, for kernels that have one */
  run(pass: GPUComputePassEncoder, extent: Extent, offset?: number): void;
}

/** The dispatch of a kernel, as large as a number of lanes and frames asks for. */
export function dispatchOf(
  kernel: BoundKernel,
  workgroups: (lanes: number, frames: number) => Workgroups,
  weightBytes = 0,
): Dispatch {
  return {
    name: kernel.name,
    weightBytes,
    run(pass, { lanes, frames }, offset) {
      kernel.dispatch(pass, workgroups(lanes, frames), offset);
    },
  };
}

/** Workgroups in x of the kernels that take a workgroup per row; the rest goes to y. */
const ROWS_PER_Y = 32768;

/** One workgroup for each row. */
export const perRow = (lanes: number, frames: number): Workgroups => [
  Math.min(lanes * frames, ROWS_PER_Y),
  Math.ceil((lanes * frames) / ROWS_PER_Y),
  1,
];
