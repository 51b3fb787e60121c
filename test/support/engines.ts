import type { DeviceInfo, Engine } from '../../src/encoder/engine.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { alsoInAll } from './scope.ts';

/** Engines that a promise of the rooms above them is tested on: the fast one, and all where all is tested. */
export const ENGINE_KINDS = alsoInAll<DeviceInfo['kind']>(['cpu'], ['webgpu']);

export async function openTestEngine(kind: DeviceInfo['kind']): Promise<Engine> {
  return kind === 'cpu' ? new WasmEngine() : new WebGpuEngine(await createNodeContext());
}
