import { createMemory, loadKernels } from '../../src/wasm/kernels.ts';

/** Of a call of the kernel: a millisecond or two, of which a page's clock can tell, and which is seldom interrupted. */
const TURNS = 1 << 17;
/** Calls of one measurement. */
const CALLS = 50;
/** A turn multiplies and adds so often (`wasm/peak.ts`), four floats each time. */
const FLOPS_OF_TURN = 48 * 4 * 2;

/**
 * What a processor's core can do at most in WebAssembly: f32x4 multiplications and additions of registers, as many as go side
 * by side.
 *
 * @returns a function that measures it some times, in GFLOP/s, a multiplication and an addition being two
 */
export async function openPeak(): Promise<() => number[]> {
  const kernels = await loadKernels(createMemory());
  return () =>
    Array.from({ length: CALLS }, () => {
      const start = performance.now();
      kernels.peak(TURNS);
      return (TURNS * FLOPS_OF_TURN) / (performance.now() - start) / 1e6;
    });
}
