import type { DeviceInfo, Engine } from '../../src/encoder/engine.ts';
import type { DeviceName } from '../../src/engine.ts';
import { RillError } from '../../src/errors.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import type { AdapterChoice } from '../../src/node/gpu.ts';
import { openBrowserRuntime } from './browser.ts';
import { JOB_FEATURES, jobs, type JobEvent, type JobInput, type JobName, type JobOutput } from './jobs.ts';

export const RUNTIME_NAMES = ['node', 'chrome', 'firefox'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

/** Where jobs run, and on what. */
export interface RuntimeChoice {
  /** Node where it has the device, else Chrome, by default. */
  runtime?: RuntimeName;
  /** The adapter to insist on; with it the device is WebGPU. */
  adapter?: AdapterChoice;
  /** `auto` by default, but WebGPU where an adapter is insisted on. */
  device?: DeviceName;
  /** Threads on the CPU; 1 by default. */
  threads?: number;
}

/** A place where jobs run: this process, or a headless browser's page. */
export interface Runtime {
  name: RuntimeName;
  /** What it runs on; as it is known now, where that is chosen when a model comes. */
  readonly device: Readonly<DeviceInfo>;
  run<Name extends JobName>(
    name: Name,
    input: JobInput<Name>,
    onEvent?: (event: JobEvent) => void,
  ): Promise<JobOutput<Name>>;
  close(): Promise<void>;
}

/** Jobs in this process. @param openedMs milliseconds that opening the engine took */
export function runtimeHere(engine: Engine, openedMs?: number): Runtime {
  return {
    name: 'node',
    get device() {
      return engine.device;
    },
    run: (name, input, emit = () => undefined) => {
      // The table pairs each name with its input and output; TypeScript cannot follow a union through it.
      const job = jobs[name] as (context: object, input: unknown) => Promise<never>;
      return job({ engine, openedMs, emit }, input);
    },
    close: async () => engine.dispose(),
  };
}

/**
 * Opens a runtime.
 *
 * @throws RillError `no-adapter`, `no-webgpu`.
 */
export async function openRuntime({ runtime, adapter, device, threads = 1 }: RuntimeChoice = {}): Promise<Runtime> {
  const wanted = device ?? (adapter === undefined ? 'auto' : 'webgpu');
  if (runtime === 'chrome' || runtime === 'firefox') {
    return openBrowserRuntime(runtime, { device: wanted, threads }, adapter);
  }
  try {
    // A job leaves no idle moments, and most are there to be timed.
    const rehearse = 'before';
    const choice = { device: wanted, threads, adapter, rehearse, optionalFeatures: JOB_FEATURES } as const;
    const start = performance.now();
    const engine = await openNodeEngine(choice);
    return runtimeHere(engine, performance.now() - start);
  } catch (error) {
    const noAdapter = error instanceof RillError && error.code === 'no-adapter';
    if (runtime === 'node' || !noAdapter) {
      throw error;
    }
    return openBrowserRuntime('chrome', { device: wanted, threads }, adapter);
  }
}
