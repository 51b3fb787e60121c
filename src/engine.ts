import { AutoEngine } from './auto-engine.ts';
import type { Engine, GpuDevice } from './encoder/engine.ts';
import { RillError } from './errors.ts';
import { WasmEngine } from './wasm/engine.ts';
import { hasWasm } from './wasm/kernels.ts';
import { pageThreads, type Threads } from './wasm/threads.ts';
import { GpuContext, findAdapter } from './webgpu/device/context.ts';
import { WebGpuEngine } from './webgpu/engine.ts';
import type { KernelOptions } from './webgpu/kernel-options.ts';

/** Devices that can be asked for by name: the faster one, the GPU, the CPU. */
export type DeviceName = 'auto' | 'webgpu' | 'cpu';
export const DEVICE_NAMES: readonly DeviceName[] = ['auto', 'webgpu', 'cpu'];

/** What to run on. */
export interface EngineOptions extends KernelOptions {
  /**
   * `webgpu` is the GPU, `cpu` WebAssembly in the calling thread, which asks for no adapter. `auto`, the default, is the
   * CPU where there is no WebGPU, no adapter, or a software one; where there is a GPU both run a chunk of the model, and
   * the faster is taken. Or an open device, which stays open: an engine, such as `openNodeEngine()` of `rill-asr/node`
   * gives, or a `GPUDevice`.
   */
  device?: DeviceName | Engine | GpuDevice;
  /**
   * Threads that the streams of a step are shared out over where the CPU is what runs them, 1 to 64, the calling one among
   * them; 1 by default. They bring something from eight streams a step on. More than one needs a page that is cross-origin
   * isolated; in Node they come with what `openNodeEngine()` of `rill-asr/node` gives.
   */
  threads?: number;
}

/** An engine, and whether it was opened for this one use. */
export interface OpenedEngine {
  engine: Engine;
  isOwn: boolean;
}

/**
 * Opens what models run on, for several loads on one device, or for the encoder alone.
 *
 * @throws RillError `no-webgpu`, `no-adapter`, `no-wasm`, `no-threads`, `bad-argument`.
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  return (await engineFor(options)).engine;
}

/**
 * Opens what the options ask for, and tells whether it was opened here.
 *
 * @param reason what is told of a device that was asked for by name
 * @throws RillError as {@link openEngine} does.
 */
export async function engineFor(
  { device = 'auto', threads = 1, ...options }: EngineOptions = {},
  reason = 'asked for',
): Promise<OpenedEngine> {
  if (typeof device !== 'string') {
    return {
      engine: isEngine(device) ? device : new WebGpuEngine(contextOf(device), options, 'handed in'),
      isOwn: false,
    };
  }
  switch (device) {
    case 'auto':
      return { engine: await openAuto(options, pageThreads(threads)), isOwn: true };
    case 'webgpu':
      return { engine: new WebGpuEngine(await GpuContext.create(), options, reason), isOwn: true };
    case 'cpu':
      return { engine: new WasmEngine(reason, pageThreads(threads)), isOwn: true };
    default:
      throw new RillError('bad-argument', {
        got: `device: ${JSON.stringify(device)}`,
        expected: `${DEVICE_NAMES.join(', ')}, or an open device`,
        remedy: 'Leave it out to take the faster one.',
      });
  }
}

/**
 * Whether the model can run here: what a page asks before it offers speech.
 *
 * @param device as for {@link openEngine}; `auto` by default
 */
export async function isSupported(device: DeviceName = 'auto'): Promise<boolean> {
  return (
    (device !== 'webgpu' && (await hasWasm())) ||
    (device !== 'cpu' && (await findAdapter().catch(() => undefined)) !== undefined)
  );
}

/** The CPU, or a GPU that is held against it when a model comes. */
async function openAuto(options: KernelOptions, threads: Threads | undefined): Promise<Engine> {
  const onCpu = (reason?: string) => new WasmEngine(reason, threads);
  if (!(await hasWasm())) {
    return new WebGpuEngine(await GpuContext.create().catch(neither), options, 'no WebAssembly SIMD');
  }
  const adapter = await findAdapter().catch((error: unknown) => {
    if (error instanceof RillError) {
      return error;
    }
    throw error;
  });
  if (adapter instanceof RillError) {
    return onCpu(adapter.code === 'no-webgpu' ? 'no WebGPU here' : 'no GPU adapter here');
  }
  if (adapter.isSoftware) {
    return onCpu(`the only GPU adapter is software (${adapter.name})`);
  }
  try {
    return new AutoEngine(await GpuContext.create(), options, onCpu());
  } catch (error) {
    if (error instanceof RillError) {
      return onCpu(`the GPU gave no device (${error.got})`);
    }
    throw error;
  }
}

/** Why there is no engine at all, where WebAssembly is missing and the GPU as well. */
function neither(cause: unknown): never {
  if (!(cause instanceof RillError)) {
    throw cause;
  }
  throw new RillError(
    'no-wasm',
    {
      got: `no WebAssembly with SIMD, and ${cause.got}`,
      expected: 'one of the two',
      remedy:
        'Use a browser of 2023 or later; a Content-Security-Policy must allow script-src ’wasm-unsafe-eval’, where there is no GPU.',
    },
    { cause },
  );
}

/** Devices that were handed in: each is listened to once. */
const contexts = new WeakMap<GpuDevice, GpuContext>();

function contextOf(device: GpuDevice): GpuContext {
  if (!isDevice(device)) {
    // Whatever is handed in by plain JavaScript.
    throw new RillError('bad-argument', {
      got: `a device that is ${Object.prototype.toString.call(device)}`,
      expected: `${DEVICE_NAMES.join(', ')}, an engine, or a GPUDevice`,
      remedy: 'In Node make an engine with openNodeEngine(), of rill-asr/node.',
    });
  }
  const context = contexts.get(device) ?? new GpuContext(device);
  contexts.set(device, context);
  if (context.resources === 0) {
    // What others have done on the device since the last load has ended is not this one's.
    context.forgive();
  }
  return context;
}

const isDevice = (device: unknown): device is GPUDevice =>
  typeof (device as Partial<GPUDevice> | null)?.createComputePipelineAsync === 'function';

function isEngine(device: unknown): device is Engine {
  return typeof (device as Partial<Engine> | null)?.createEncoder === 'function';
}
