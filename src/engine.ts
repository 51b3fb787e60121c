import type { Engine } from './encoder/engine.ts';
import { RillError } from './errors.ts';
import { GpuContext } from './webgpu/device/context.ts';
import { WebGpuEngine } from './webgpu/engine.ts';
import type { KernelOptions } from './webgpu/options.ts';

/** What to run on. */
export interface EngineOptions extends KernelOptions {
  /**
   * An open device, which stays open: a `GPUDevice`, or in Node what `openGpu()` of `rill/node` gives. A new one by
   * default, which goes with what is loaded onto it.
   */
  device?: Engine | GpuContext | GPUDevice;
}

/** An engine, and whether it was opened for this one use. */
export interface OpenedEngine {
  engine: Engine;
  isOwn: boolean;
}

/** Devices that were handed in: each is listened to once. */
const contexts = new WeakMap<GPUDevice, GpuContext>();

function contextOf(device: GpuContext | GPUDevice): GpuContext {
  const context = device instanceof GpuContext ? device : (contexts.get(device) ?? new GpuContext(device));
  contexts.set(context.device, context);
  if (context.resources === 0) {
    // What others have done on the device since the last load has ended is not this one's.
    context.forgive();
  }
  return context;
}

/** Opens what the options ask for. @throws RillError `no-webgpu`, `no-adapter`, `bad-argument`. */
export async function openEngine({ device, ...options }: EngineOptions = {}): Promise<OpenedEngine> {
  if (device === undefined) {
    return { engine: new WebGpuEngine(await GpuContext.create(), options), isOwn: true };
  }
  if (isEngine(device)) {
    return { engine: device, isOwn: false };
  }
  if (
    !(device instanceof GpuContext) &&
    typeof (device as Partial<GPUDevice>)?.createComputePipelineAsync !== 'function'
  ) {
    // Whatever is handed in by plain JavaScript, and contexts of another copy of the library.
    throw new RillError('bad-argument', {
      got: `a device that is ${Object.prototype.toString.call(device)}`,
      expected: 'a GPUDevice, or a GpuContext of this copy of rill',
      remedy: 'In Node make one with openGpu(), of rill/node.',
    });
  }
  return { engine: new WebGpuEngine(contextOf(device), options, 'handed in'), isOwn: false };
}

function isEngine(device: object): device is Engine {
  return 'createEncoder' in device && typeof device.createEncoder === 'function';
}

/**
 * Whether there is WebGPU with an adapter here: what a page asks before it offers speech.
 *
 * @param gpu `navigator.gpu` by default
 */
export async function isSupported(gpu: GPU | undefined = globalThis.navigator?.gpu): Promise<boolean> {
  const adapter = await gpu?.requestAdapter().catch(() => undefined);
  return Boolean(adapter);
}
