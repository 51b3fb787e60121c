import { vi } from 'vitest';
import type { DeviceInfo, Engine } from '../../src/encoder/engine.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { alsoInAll } from './scope.ts';

/** Engines that a promise of the rooms above them is tested on: the fast one, and all where all is tested. */
export const ENGINE_KINDS = alsoInAll<DeviceInfo['kind']>(['cpu'], ['webgpu']);

export async function openTestEngine(kind: DeviceInfo['kind']): Promise<Engine> {
  return kind === 'cpu' ? new WasmEngine() : new WebGpuEngine(await createNodeContext());
}

const NO_NAMES = { vendor: '', architecture: '', device: '', description: '', isFallbackAdapter: false };

/** A page's `navigator.gpu` whose adapter is the software one of this machine, described as something else. */
export function stubPageGpu({ gpu }: GpuContext, info: Partial<GPUAdapterInfo>): void {
  if (!gpu) {
    throw new Error('a context of openGpu has its instance');
  }
  const requestAdapter = async () => {
    const adapter = await gpu.requestAdapter();
    return (
      adapter &&
      new Proxy(adapter, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (name === 'info') {
            return { ...NO_NAMES, ...info };
          }
          return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
        },
      })
    );
  };
  vi.stubGlobal('navigator', { gpu: { requestAdapter }, userAgent: 'test' });
}
