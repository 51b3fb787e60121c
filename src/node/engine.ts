import { AutoEngine } from '../auto-engine.ts';
import type { Engine } from '../encoder/engine.ts';
import type { DeviceName } from '../engine.ts';
import { RillError } from '../errors.ts';
import { WasmEngine } from '../wasm/engine.ts';
import { WebGpuEngine } from '../webgpu/engine.ts';
import type { KernelOptions } from '../webgpu/kernel-options.ts';
import { mayHaveGpu, openGpu } from './gpu.ts';
import { nodeThreads } from './threads.ts';

/** What {@link openNodeEngine} is told. */
export interface NodeEngineOptions extends KernelOptions {
  /**
   * `auto`, the default, is the CPU where there is no GPU; where there is one both run a chunk of the model, and the faster
   * is taken. `webgpu` is the GPU, or the software adapter that comes with Chrome or Chromium (SwiftShader) where there is
   * none; `cpu` is WebAssembly.
   */
  device?: DeviceName;
  /** Which adapter to take for `webgpu`; a GPU when there is one, else the software adapter, by default. */
  adapter?: 'gpu' | 'software';
  /** Threads that the streams of a step are shared out over on the CPU, 1 to 64; 1 by default. */
  threads?: number;
  /** @internal Features of the GPU to ask for where the adapter has them, beside those that kernels make use of: `timestamp-query`. */
  optionalFeatures?: readonly GPUFeatureName[];
}

/**
 * Opens what a model is to run on in Node, for the option `device` of whatever loads a model. WebGPU comes with the
 * package `webgpu`; the CPU needs nothing. Choices of kernels are kept in the user's cache folder. A GPU is given back when
 * the process ends, however it ends.
 *
 * In a worker thread, `new Worker(file, { env: SHARE_ENV })`: the Vulkan loader sees the process's own environment only.
 * Let such a thread end by itself: `terminate()` in the middle of a step is more than the package `webgpu` stands.
 *
 * @throws RillError `no-adapter` for `webgpu` where there is none, `bad-argument`.
 */
export async function openNodeEngine(options: NodeEngineOptions = {}): Promise<Engine> {
  const { device = 'auto', threads = 1, adapter, optionalFeatures, ...kernelOptions } = options;
  const onCpu = (reason?: string) => new WasmEngine(reason, nodeThreads(threads));
  if (device === 'webgpu') {
    return new WebGpuEngine(await openGpu({ adapter, optionalFeatures }), kernelOptions);
  }
  if (device === 'cpu') {
    return onCpu();
  }
  if (!mayHaveGpu()) {
    return onCpu('no GPU here');
  }
  try {
    return new AutoEngine(await openGpu({ adapter: 'gpu', optionalFeatures }), kernelOptions, onCpu());
  } catch (error) {
    if (error instanceof RillError && error.code === 'no-adapter') {
      return onCpu(`no GPU here (${error.got})`);
    }
    throw error;
  }
}
