import type { Engine } from '../../encoder/engine.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { hasWasm } from '../../wasm/kernels.ts';
import { isSoftware } from '../../webgpu/device/context.ts';
import { gpuOf } from '../device.ts';

/** How long the notice of a lost device may come after the first failure. */
const LOSS_NOTICE_MS = 250;

/** What layers that are not trained run on: the CPU where it plays the GPU, which takes a fourteenth of the time. */
export async function forwardEngine(engine: Engine): Promise<Engine> {
  const { adapter, adapterName } = gpuOf(engine);
  const isPlayed = adapter.isFallbackAdapter || isSoftware(adapterName);
  return isPlayed && (await hasWasm()) ? new WasmEngine('faster than a software adapter') : engine;
}

/** Whether work on a device failed because it was lost; the notice of that may come a little later. */
export function wasLost({ lost }: Engine): Promise<boolean> {
  const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), LOSS_NOTICE_MS));
  return Promise.race([lost.then(() => true), patience]);
}
