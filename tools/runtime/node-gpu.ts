import { existsSync, readdirSync } from 'node:fs';
import { GpuContext } from '../../src/gpu/context.ts';
import { RillError } from '../../src/errors.ts';
import { findSwiftShader } from '../browsers.mjs';
import { JOB_FEATURES } from './jobs.ts';

/** Timestamps in nanoseconds, not rounded to 0.1 ms as pages that nobody trusts get them. */
export const EXACT_TIMESTAMPS = '--disable-dawn-features=timestamp_quantization';
const DAWN_OPTIONS = [EXACT_TIMESTAMPS.replace(/^--/, '')];

/** Which adapter to run on; without a wish, a GPU when there is one, else the software adapter. */
export type AdapterChoice = 'gpu' | 'software';

/**
 * WebGPU for Node: Dawn, from the npm package `webgpu`. The software adapter is SwiftShader, the Vulkan driver
 * inside Chrome; the Vulkan loader finds it by environment variables, read when a Dawn instance is created. Afterwards
 * they are as they were: a browser started later finds its own drivers.
 *
 * @throws RillError `no-adapter`.
 */
export function createNodeContext(choice?: AdapterChoice): Promise<GpuContext> {
  // One after the other: they share the variables.
  const opened = opening.then(async () => {
    const before = VARIABLES.map((name) => process.env[name]);
    try {
      return await createContext(choice);
    } finally {
      VARIABLES.forEach((name, i) => {
        const value = before[i];
        if (value === undefined) {
          Reflect.deleteProperty(process.env, name);
        } else {
          process.env[name] = value;
        }
      });
    }
  });
  opening = opened.catch(() => undefined);
  return opened;
}

const VARIABLES = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'NODEVICE_SELECT'] as const;
let opening: Promise<unknown> = Promise.resolve();

async function createContext(choice?: AdapterChoice): Promise<GpuContext> {
  const swiftShader = findSwiftShader();
  const useSoftware = () => {
    if (swiftShader) {
      process.env.VK_ICD_FILENAMES = swiftShader;
      process.env.VK_DRIVER_FILES = swiftShader;
      // Mesa's layer that sorts adapters has nothing to sort then, and complains on machines without a display.
      process.env.NODEVICE_SELECT = '1';
    }
  };
  if (choice === 'software' || (choice === undefined && swiftShader && !mayHaveGpu())) {
    if (!swiftShader) {
      throw noAdapter('no SwiftShader (vk_swiftshader_icd.json) beside any Chrome');
    }
    useSoftware();
  }
  const { create, globals } = await import('webgpu').catch((cause: unknown) => {
    throw noAdapter(`no package webgpu (${cause instanceof Error ? cause.message : String(cause)})`);
  });
  Object.assign(globalThis, globals);
  const gpu = create(DAWN_OPTIONS);
  const found = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (found && !(choice === 'gpu' && isSoftware(adapterWords(found.info).join(' ')))) {
    return GpuContext.create(gpu, { optionalFeatures: JOB_FEATURES });
  }
  if (choice === 'gpu' || choice === 'software' || !swiftShader) {
    throw noAdapter(found ? `only ${found.info.description}` : 'no adapter');
  }
  useSoftware();
  return GpuContext.create(create(DAWN_OPTIONS), { optionalFeatures: JOB_FEATURES });
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

const adapterWords = ({ vendor, architecture, device, description }: GPUAdapterInfo) => [
  vendor,
  architecture,
  device,
  description,
];

/** Whether an adapter's description is that of a software driver. */
export function isSoftware(description: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|basic render/i.test(description);
}

export function noAdapter(got: string): RillError {
  return new RillError('no-adapter', {
    got,
    expected: 'an adapter for Node’s WebGPU',
    remedy:
      'Install the package webgpu; on Linux without a GPU a software driver, too (in a clone of Rill npm run setup does both). Or pass --runtime chrome.',
  });
}
