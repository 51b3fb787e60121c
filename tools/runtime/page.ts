/** Runs in the headless browser's page: opens the device that its address names, then asks for one job after the other. */
import type { Engine } from '../../src/encoder/engine.ts';
import { openEngine } from '../../src/engine.ts';
import { GpuContext } from '../../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { receiveAudio } from './audio-source.ts';
import { pack, unpack } from './envelope.ts';
import { JOB_FEATURES, jobs, type JobName } from './jobs.ts';
import { failure, type PageMessage } from './page-message.ts';

async function post(message: PageMessage): Promise<void> {
  await fetch('/message', { method: 'POST', body: pack(message) });
}

const ask = async (path: string) => new Uint8Array(await (await fetch(path)).arrayBuffer());

interface Job {
  name: JobName;
  input: object;
  /** Whether its sound is to be asked for. */
  hasAudio: boolean;
}

async function runJobs(engine: Engine, openedMs: number): Promise<never> {
  for (;;) {
    const { name, input: values, hasAudio } = unpack(await ask('/job')) as Job;
    const input = hasAudio ? { ...values, audio: receiveAudio(() => ask('/audio')) } : values;
    // Events are posted in the order they happen, each before the next.
    let posted: Promise<void> = Promise.resolve();
    const emit = (event: Extract<PageMessage, { type: 'event' }>['event']) => {
      posted = posted.then(() => post({ type: 'event', event }));
    };
    try {
      const output = await (jobs[name] as (context: object, input: unknown) => Promise<unknown>)(
        { engine, openedMs, emit },
        input,
      );
      await posted;
      await post({ type: 'done', output });
    } catch (error) {
      await posted;
      await post(failure(error));
    }
  }
}

try {
  const [device, threads] = location.hash.slice(1).split('.');
  const start = performance.now();
  const engine =
    device === 'webgpu'
      ? new WebGpuEngine(await GpuContext.create(undefined, { optionalFeatures: JOB_FEATURES }), { rehearse: 'before' })
      : await openEngine({
          device: device === 'cpu' ? 'cpu' : 'auto',
          rehearse: 'before',
          threads: Number(threads),
        });
  const openedMs = performance.now() - start;
  await post({ type: 'ready', device: engine.device });
  await runJobs(engine, openedMs);
} catch (error) {
  await post(failure(error));
}
