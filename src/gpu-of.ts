import { AutoEngine } from './auto-engine.ts';
import type { Engine } from './encoder/engine.ts';
import { RillError } from './errors.ts';
import type { GpuContext } from './webgpu/device/context.ts';
import { WebGpuEngine } from './webgpu/engine.ts';

/** The GPU of an engine, for what only a GPU has; whichever device runs models. @throws RillError `bad-argument` for an engine on the CPU. */
export function gpuOf(engine: Engine): GpuContext {
  const own = engine instanceof AutoEngine ? engine.gpu : engine;
  if (!(own instanceof WebGpuEngine)) {
    throw new RillError('bad-argument', {
      got: engine.device.name,
      expected: 'an engine on WebGPU, which alone can train and has kernels of several methods',
      remedy: 'Open the engine for the device webgpu; on the command line leave --device out, or say --device webgpu.',
    });
  }
  return own.context;
}
