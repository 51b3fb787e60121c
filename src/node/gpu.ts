import { existsSync, readdirSync } from 'node:fs';
import { RillError } from '../errors.ts';
import { GpuContext, isSoftware, type ContextOptions } from '../webgpu/device/context.ts';
import { findSwiftShader } from './browsers.mjs';
import { destroyAtExit } from './exit.ts';
import { kernelFiles } from './kernel-files.ts';

/** Which adapter to run on; without a wish, a GPU when there is one, else the software adapter. */
export type AdapterChoice = 'gpu' | 'software';

export interface OpenGpuOptions extends ContextOptions {
  /** By default a GPU when there is one, else the software adapter. */
  adapter?: AdapterChoice;
}

/** Timestamps in nanoseconds, not rounded to 0.1 ms as pages that nobody trusts get them. */
export const EXACT_TIMESTAMPS = '--disable-dawn-features=timestamp_quantization';

/**
 * Dawn's instances by the driver that they are confined to; held for as long as the process lives. The package `webgpu`
 * looks for finished work through the instance, and does not hold it: where it is collected while work is under way, the
 * process ends with a segmentation fault (AsyncRunner in Dawn's src/dawn/node/binding, webgpu 0.6.2). To be deleted when
 * Dawn holds it by itself.
 */
const instances = new Map<string | undefined, GPU>();
/** One opening after the other: they share environment variables. */
let opening: Promise<unknown> = Promise.resolve();

/**
 * Opens a GPU in Node, by the package `webgpu`, or the software adapter that comes with Chrome or Chromium where there is none.
 * The device is given back when the process ends, however it ends.
 *
 * @throws RillError `no-adapter` without the package, and where there is no adapter of the wanted kind.
 */
export function openGpu({ adapter, ...options }: OpenGpuOptions = {}): Promise<GpuContext> {
  const opened = opening.then(() => open(adapter, { kernelStore: kernelFiles(), ...options }));
  opening = opened.catch(() => undefined);
  return opened;
}

async function open(choice: AdapterChoice | undefined, options: ContextOptions): Promise<GpuContext> {
  const swiftShader = findSwiftShader();
  if (choice === 'gpu' || (choice === undefined && (!swiftShader || mayHaveGpu()))) {
    const gpu = await instanceOf(undefined);
    const found = await gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (found && !(choice === 'gpu' && isSoftware(words(found.info)))) {
      return contextOn(gpu, options);
    }
    if (choice === 'gpu' || !swiftShader) {
      throw noAdapter(found ? `only ${found.info.description}` : 'no adapter');
    }
  }
  if (!swiftShader) {
    throw noAdapter('no SwiftShader (vk_swiftshader_icd.json) beside any Chrome');
  }
  return contextOn(await instanceOf(swiftShader), options);
}

async function contextOn(gpu: GPU, options: ContextOptions): Promise<GpuContext> {
  const context = await GpuContext.create(gpu, options);
  destroyAtExit(context.device);
  return context;
}

/** @param driver the manifest of the only Vulkan driver that it sees; all of the system without one */
async function instanceOf(driver: string | undefined): Promise<GPU> {
  const known = instances.get(driver);
  if (known) {
    return known;
  }
  const { create, globals } = await import('webgpu').catch((cause: unknown) => {
    throw noAdapter(`no package webgpu (${cause instanceof Error ? cause.message : String(cause)})`);
  });
  Object.assign(globalThis, globals);
  const gpu = create([EXACT_TIMESTAMPS.replace(/^--/, '')]);
  // Drivers are looked for when an adapter is asked for, the first time.
  await withVulkanDriver(driver, () => gpu.requestAdapter());
  instances.set(driver, gpu);
  return gpu;
}

const VULKAN_VARIABLES = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'NODEVICE_SELECT'] as const;

/**
 * Runs with one Vulkan driver, which the loader finds by environment variables. Afterwards they are as they were: a
 * browser that is started later finds its own drivers.
 */
async function withVulkanDriver<Result>(driver: string | undefined, run: () => Promise<Result>): Promise<Result> {
  if (driver === undefined) {
    return run();
  }
  const before = VULKAN_VARIABLES.map((name) => process.env[name]);
  process.env.VK_ICD_FILENAMES = process.env.VK_DRIVER_FILES = driver;
  // Mesa's layer that sorts adapters has nothing to sort then, and complains on machines without a display.
  process.env.NODEVICE_SELECT = '1';
  try {
    return await run();
  } finally {
    VULKAN_VARIABLES.forEach((name, i) => {
      const value = before[i];
      if (value === undefined) {
        Reflect.deleteProperty(process.env, name);
      } else {
        process.env[name] = value;
      }
    });
  }
}

/** On Linux a GPU has a device node; without one there is no need to ask every Vulkan driver. */
export function mayHaveGpu(): boolean {
  const nodes = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  return (
    process.platform !== 'linux' ||
    nodes('/dev/dri').length > 0 ||
    nodes('/dev').some((name) => /^nvidia\d|^dxg$/.test(name))
  );
}

const words = ({ vendor, architecture, device, description }: GPUAdapterInfo) =>
  [vendor, architecture, device, description].join(' ');

export function noAdapter(got: string): RillError {
  return new RillError('no-adapter', {
    got,
    expected: 'an adapter for Node’s WebGPU',
    remedy:
      'Install the package webgpu; on Linux without a GPU a software driver, too: Chromium brings one, or mesa-vulkan-drivers. In a clone of Rill npm run setup does both. The command line can run in a browser instead: --runtime chrome.',
  });
}
