import { BufferScope, type GpuContext } from '../../src/webgpu/device/context.ts';
import { Kernel, type BoundKernel } from '../../src/webgpu/device/kernel.ts';
import * as kernels from '../../src/webgpu/kernels.generated.ts';

/** A large GPU is only busy with many workgroups, a software adapter is fastest with few: the best counts. */
const PARTS = [128, 1024, 8192];
/** A part is a multiple of so many vec4s. */
const TURN = 128;
const VEC4_BYTES = 16;
/** Texels in a row of the texture, of four floats. */
const ROW_TEXELS = 512;
/** A submit and its wait should not matter beside what is measured. */
const LEAST_MS = 20;
const REPEATS = 20;
const MOST_DISPATCHES = 1024;

/**
 * The adapter's own read bandwidth in GB/s: of kernels that only sum a buffer, or a texture, whichever is faster.
 *
 * @param bytes of the buffer, cut to what one binding may have
 */
export async function measureBandwidth(gpu: GpuContext, bytes: number): Promise<number> {
  const vec4s = Math.min(bytes, gpu.device.limits.maxStorageBufferBindingSize) / VEC4_BYTES;
  return Math.max(await textureGBps(gpu, vec4s), await bufferGBps(gpu, vec4s));
}

async function bufferGBps(gpu: GpuContext, vec4s: number): Promise<number> {
  const [fewest, ...more] = PARTS;
  const turns = Math.max(fewest, Math.floor(vec4s / TURN));
  const scope = new BufferScope(gpu);
  try {
    const size = turns * TURN * VEC4_BYTES;
    const values = scope.createStorage('profile', 'values', size);
    gpu.device.queue.writeBuffer(values, 0, written(size));
    let best = 0;
    for (const parts of [fewest, ...more.filter((count) => count <= turns)]) {
      const partVec4s = Math.floor(turns / parts) * TURN;
      const kernel = await Kernel.create(gpu, kernels.readBandwidth, { part_vec4s: partVec4s });
      const label = `sums of ${parts}`;
      const sums = scope.createStorage('profile', label, parts * kernel.source.workgroupSize[0] * VEC4_BYTES);
      const bytes = parts * partVec4s * VEC4_BYTES;
      best = Math.max(best, await bestGBps(gpu, kernel.bind({ values, sums }), parts, bytes));
    }
    return best;
  } finally {
    scope.dispose();
  }
}

async function textureGBps(gpu: GpuContext, texels: number): Promise<number> {
  const scope = new BufferScope(gpu);
  try {
    const kernel = await Kernel.create(gpu, kernels.readBandwidthTexels, {});
    const rows = Math.min(Math.ceil(texels / ROW_TEXELS), gpu.device.limits.maxTextureDimension2D);
    const bytes = rows * ROW_TEXELS * VEC4_BYTES;
    const values = scope.createTexture('profile', 'values', bytes, 'rgba32float', [ROW_TEXELS, rows]);
    const layout = { bytesPerRow: ROW_TEXELS * VEC4_BYTES };
    gpu.device.queue.writeTexture({ texture: values }, written(bytes), layout, [ROW_TEXELS, rows]);
    const bound = kernel.bind({
      values,
      sums: scope.createStorage('profile', 'sums', rows * kernel.source.workgroupSize[0] * VEC4_BYTES),
    });
    return await bestGBps(gpu, bound, rows, bytes);
  } finally {
    scope.dispose();
  }
}

/** What is read has been written before: memory that never was may be one and the same page of zeros. */
const written = (bytes: number) => new Float32Array(bytes / 4).fill(1);

/** Of a kernel that reads so many bytes, over as many dispatches as can be timed. */
async function bestGBps(gpu: GpuContext, kernel: BoundKernel, workgroups: number, bytes: number): Promise<number> {
  const run = (dispatches: number) => dispatchMs(gpu, kernel, workgroups, dispatches);
  let dispatches = 1;
  while ((await run(dispatches)) < LEAST_MS && dispatches < MOST_DISPATCHES) {
    dispatches *= 2;
  }
  let best = 0;
  for (let i = 0; i < REPEATS; i++) {
    best = Math.max(best, (dispatches * bytes) / (await run(dispatches)) / 1e6);
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
