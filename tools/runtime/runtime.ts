import { RillError } from '../../src/errors.ts';
import { openBrowserRuntime } from './browser.ts';
import { openGpu, type AdapterChoice } from '../../src/node/gpu.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { JOB_FEATURES, jobs, type JobEvent, type JobInput, type JobName, type JobOutput } from './jobs.ts';

export const RUNTIME_NAMES = ['node', 'chrome', 'firefox'] as const;
export type RuntimeName = (typeof RUNTIME_NAMES)[number];

/** A place with WebGPU where jobs run: this process, or a headless browser's page. */
export interface Runtime {
  name: RuntimeName;
  /** The adapter, for people. */
  adapter: string;
  run<Name extends JobName>(
    name: Name,
    input: JobInput<Name>,
    onEvent?: (event: JobEvent) => void,
  ): Promise<JobOutput<Name>>;
  close(): Promise<void>;
}

async function openNodeRuntime(choice?: AdapterChoice): Promise<Runtime> {
  const engine = new WebGpuEngine(await openGpu({ adapter: choice, optionalFeatures: JOB_FEATURES }));
  return {
    name: 'node',
    adapter: engine.device.name,
    run: (name, input, emit = () => undefined) => {
      // The table pairs each name with its input and output; TypeScript cannot follow a union through it.
      const job = jobs[name] as (context: object, input: unknown) => Promise<never>;
      return job({ engine, emit }, input);
    },
    close: async () => engine.dispose(),
  };
}

/**
 * Opens a runtime. Without a name: Node's own WebGPU when it has an adapter, else headless Chrome.
 *
 * @throws RillError `no-adapter`, `no-webgpu`.
 */
export async function openRuntime(name?: RuntimeName, adapter?: AdapterChoice): Promise<Runtime> {
  if (name === 'chrome' || name === 'firefox') {
    return openBrowserRuntime(name, adapter);
  }
  try {
    return await openNodeRuntime(adapter);
  } catch (error) {
    const noAdapter = error instanceof RillError && error.code === 'no-adapter';
    if (name === 'node' || !noAdapter) {
      throw error;
    }
    return openBrowserRuntime('chrome', adapter);
  }
}
