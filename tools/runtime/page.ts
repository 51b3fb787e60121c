/** Runs in the headless browser's page: opens the GPU, then asks for one job after the other. */
import { RillError } from '../../src/errors.ts';
import { GpuContext } from '../../src/gpu/context.ts';
import type { PageMessage } from './browser.ts';
import { pack, unpack } from './envelope.ts';
import { jobs, type JobName } from './jobs.ts';

async function post(message: PageMessage): Promise<void> {
  await fetch('/message', { method: 'POST', body: pack(message) });
}

function failure(error: unknown): PageMessage {
  if (error instanceof RillError) {
    const { code, got, expected, remedy, message } = error;
    return { type: 'failed', message, code, got, expected, remedy };
  }
  return { type: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

async function runJobs(gpu: GpuContext): Promise<never> {
  for (;;) {
    const response = await fetch('/job');
    const { name, input } = unpack(new Uint8Array(await response.arrayBuffer())) as { name: JobName; input: unknown };
    // Events are posted in the order they happen, each before the next.
    let posted: Promise<void> = Promise.resolve();
    const emit = (event: Extract<PageMessage, { type: 'event' }>['event']) => {
      posted = posted.then(() => post({ type: 'event', event }));
    };
    try {
      const output = await (jobs[name] as (context: object, input: unknown) => Promise<unknown>)({ gpu, emit }, input);
      await posted;
      await post({ type: 'done', output });
    } catch (error) {
      await posted;
      await post(failure(error));
    }
  }
}

try {
  const gpu = await GpuContext.create();
  await post({ type: 'ready', adapter: gpu.adapterName });
  await runJobs(gpu);
} catch (error) {
  await post(failure(error));
}
