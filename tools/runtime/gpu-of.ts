import { AutoEngine } from '../../src/auto-engine.ts';
import type { Engine } from '../../src/encoder/engine.ts';
import { RillError } from '../../src/errors.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import type { KernelOptions } from '../../src/webgpu/kernel-options.ts';

/** The GPU of an engine, for what only a GPU has. @throws RillError `bad-argument` for another engine. */
export function gpuOf(engine: Engine): GpuContext {
  const taken = engine instanceof AutoEngine ? engine.chosen : engine;
  if (!(taken instanceof WebGpuEngine)) {
    throw new RillError('bad-argument', {
      got: `${engine.device.name}`,
      expected: 'WebGPU: kernels of several methods are its own',
      remedy: 'Leave --device out, or say --device webgpu.',
    });
  }
  return taken.context;
}

/** The engine as it is handed to others, for what is measured of its start. */
export function startingAtOnce(engine: Engine): Engine {
  return engine instanceof WebGpuEngine ? new WebGpuEngine(engine.context) : engine;
}

/** The engine, with kernels that were named. */
export function withKernels(engine: Engine, kernels: KernelOptions['kernels']): Engine {
  return kernels === undefined ? engine : new WebGpuEngine(gpuOf(engine), { kernels });
}
