import { BufferScope, type GpuContext } from '../../src/gpu/context.ts';
import { Kernel, type BoundKernel } from '../../src/gpu/kernel.ts';
import * as kernels from '../../src/gpu/kernels.generated.ts';

/** A large GPU is only busy with many threads, a software adapter is fastest with few: the best counts. */
const THREADS = [4096, 32768, 262144];
/** A submit and its wait should not matter beside what is measured. */
const LEAST_MS = 20;
const REPEATS = 5;
const MOST_DISPATCHES = 1024;

/** Bytes that all threads together read in one turn: four vec4s each. */
const bytesPerTurn = (threads: number) => 4 * threads * 16;

/**
 * The adapter's own read bandwidth in GB/s: of a kernel that only sums a buffer.
 *
 * @param bytes of the buffer, cut to what one binding may have
 */
export async function measureBandwidth(gpu: GpuContext, bytes: number): Promise<number> {
  const limit = Math.min(bytes, gpu.device.limits.maxStorageBufferBindingSize);
  const [fewest, ...more] = THREADS;
  let best = 0;
  for (const threads of [fewest, ...more.filter((count) => bytesPerTurn(count) <= limit)]) {
    const turn = bytesPerTurn(threads);
    const size = Math.max(turn, Math.floor(limit / turn) * turn);
    const scope = new BufferScope(gpu);
    try {
      const kernel = await Kernel.create(gpu, kernels.readBandwidth, { threads });
      const bound = kernel.bind({
        values: scope.createStorage('bench', 'values', size),
        sums: scope.createStorage('bench', 'sums', 16 * threads),
      });
      const run = (dispatches: number) => dispatchMs(gpu, bound, threads / kernel.source.workgroupSize[0], dispatches);
      let dispatches = 1;
      while ((await run(dispatches)) < LEAST_MS && dispatches < MOST_DISPATCHES) {
        dispatches *= 2;
      }
      for (let i = 0; i < REPEATS; i++) {
        best = Math.max(best, (dispatches * size) / (await run(dispatches)) / 1e6);
      }
    } finally {
      scope.dispose();
    }
  }
  return best;
}

/** Milliseconds of some dispatches in one submit. */
async function dispatchMs(gpu: GpuContext, kernel: BoundKernel, workgroups: number, count: number): Promise<number> {
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < count; i++) {
    kernel.dispatch(pass, [workgroups, 1, 1]);
  }
  pass.end();
  const commands = encoder.finish();
  const start = performance.now();
  gpu.device.queue.submit([commands]);
  await gpu.until(gpu.device.queue.onSubmittedWorkDone());
  return performance.now() - start;
}
