import { AutoEngine } from '../../auto-engine.ts';
import type { Engine } from '../../encoder/engine.ts';
import { RillError } from '../../errors.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { hasWasm } from '../../wasm/kernels.ts';
import { isSoftware, type GpuContext } from '../../webgpu/device/context.ts';
import { WebGpuEngine } from '../../webgpu/engine.ts';

/** How long the notice of a lost device may come after the first failure. */
const LOSS_NOTICE_MS = 250;

/** The GPU of an engine. @throws RillError `bad-argument` for one that has none. */
export function trainingContext(engine: Engine): GpuContext {
  const taken = engine instanceof AutoEngine ? engine.chosen : engine;
  if (!(taken instanceof WebGpuEngine)) {
    throw new RillError('bad-argument', {
      got: engine.device.name,
      expected: 'an engine on WebGPU, which alone can train',
      remedy: 'Open the engine for the device webgpu.',
    });
  }
  return taken.context;
}

/** What layers that are not trained run on: the CPU where it plays the GPU, which takes a fourteenth of the time. */
export async function forwardEngine(engine: Engine): Promise<Engine> {
  const { adapter, adapterName } = trainingContext(engine);
  const isPlayed = adapter.isFallbackAdapter || isSoftware(adapterName);
  return isPlayed && (await hasWasm()) ? new WasmEngine('faster than a software adapter') : engine;
}

/** Whether work on a device failed because it was lost; the notice of that may come a little later. */
export function wasLost({ lost }: Engine): Promise<boolean> {
  const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), LOSS_NOTICE_MS));
  return Promise.race([lost.then(() => true), patience]);
}
