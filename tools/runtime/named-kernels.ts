import type { Engine } from '../../src/encoder/engine.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import type { KernelOptions } from '../../src/webgpu/kernel-options.ts';

/** The engine as it is handed to others, for what is measured of its start. */
export function startingAtOnce(engine: Engine): Engine {
  return engine instanceof WebGpuEngine ? new WebGpuEngine(engine.context) : engine;
}

/** The engine, with kernels that were named. */
export function withKernels(engine: Engine, kernels: KernelOptions['kernels']): Engine {
  return kernels === undefined ? engine : new WebGpuEngine(gpuOf(engine), { kernels });
}
