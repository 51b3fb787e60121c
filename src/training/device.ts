import { AutoEngine } from '../auto-engine.ts';
import type { Engine } from '../encoder/engine.ts';
import { RillError } from '../errors.ts';
import type { GpuContext } from '../webgpu/device/context.ts';
import { WebGpuEngine } from '../webgpu/engine.ts';

/** The GPU of an engine. @throws RillError `bad-argument` for one that has none. */
export function gpuOf(engine: Engine): GpuContext {
  const taken = engine instanceof AutoEngine ? engine.chosen : engine;
  if (!(taken instanceof WebGpuEngine)) {
    throw new RillError('bad-argument', {
      got: engine.device.name,
      expected: 'WebGPU, which alone can train',
      remedy: 'Open the engine for the device webgpu.',
    });
  }
  return taken.context;
}
