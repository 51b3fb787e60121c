import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { DeviceName } from '../../src/engine.ts';
import type { RillError } from '../../src/errors.ts';
import type { LoadEvent } from '../../src/model/fetch.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { RecognizerClient, type WorkerHandlers } from '../../src/worker/client.ts';
import { serveRecognizer } from '../../src/worker/host.ts';
import type { FromHost, StreamUpdate, ToHost, WorkerModel } from '../../src/worker/messages.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { stubPageGpu } from '../support/engines.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';
import { testsAll } from '../support/scope.ts';

const verbs = {
  layers: ({ model }: WorkerModel, plus: number) => model.sizes.encoder.numEncoderLayers + plus,
  fail: () => {
    throw new Error('my own');
  },
  loseDevice: ({ engine }: WorkerModel) => {
    gpuOf(engine).device.destroy();
  },
};

/** A worker in this thread: messages are cloned and come a turn later, as between threads. */
function workerHere(): Worker {
  const worker = {
    onmessage: undefined as ((event: { data: FromHost }) => void) | undefined,
    postMessage: (message: ToHost) => {
      const data = structuredClone(message);
      setImmediate(() => scope.onmessage?.({ data }));
    },
    terminate: () => undefined,
  };
  const scope = globalThis as unknown as { onmessage?: (event: { data: ToHost }) => void };
  vi.stubGlobal('postMessage', (message: FromHost) => {
    const data = structuredClone(message);
    setImmediate(() => worker.onmessage?.({ data }));
  });
  serveRecognizer(verbs);
  return worker as unknown as Worker;
}

let context: GpuContext;
let client: RecognizerClient<typeof verbs>;

beforeAll(async () => {
  context = await createNodeContext();
});
afterAll(() => {
  context.dispose();
});
afterEach(() => {
  client.dispose();
  vi.unstubAllGlobals();
});

function open(handlers: WorkerHandlers = {}): RecognizerClient<typeof verbs> {
  stubPageGpu(context, { description: 'SwiftShader' });
  return (client = new RecognizerClient(workerHere(), handlers));
}

/** Streams clips, one behind the other, and gives all updates. */
async function hear(...names: string[]): Promise<StreamUpdate[]> {
  const updates: StreamUpdate[] = [];
  const stream = await client.createStream({ onUpdate: (update) => updates.push(update) });
  for (const name of names) {
    stream.push(await sample(name));
  }
  await stream.finish();
  return updates;
}

it('says whether there is WebGPU in the worker', async () => {
  expect(await open().isSupported('webgpu')).toBe(true);
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
  expect(await client.isSupported('webgpu')).toBe(false);
  vi.stubGlobal('navigator', {});
  expect(await client.isSupported('webgpu')).toBe(false);
  expect(await client.isSupported()).toBe(true);
});

it('spots keywords: each once, in a segment of its own, without text', async () => {
  const info = await open().loadSpotter(await wakeWordsModel());
  expect(info.method).toBeUndefined();
  const updates = await hear('computer', 'jarvis');
  const hits = updates.flatMap(({ result }) => result.keywords.map(({ keyword }) => keyword));
  expect(hits).toEqual(['computer', 'jarvis']);
  expect(updates.every(({ result }) => result.text === '' && result.keywords.length <= 1)).toBe(true);
  expect(updates.filter(({ ended }) => ended)).toHaveLength(1);
  expect(updates.at(-1)?.ended).toBe(true);
  expect(
    await failure('bad-argument', () => client.createStream({ hotwords: 'a', onUpdate: () => undefined })),
  ).toContain('keyword spotter');
});

it('takes other hotwords while it runs, and refuses those that do not fit', async () => {
  await open().load(await wakeWordsModel(), { decodingMethod: 'modified_beam_search' });
  const stream = await client.createStream({ onUpdate: () => undefined });
  await stream.setHotwords('Alexa :2');
  expect(await failure('bad-model', () => stream.setHotwords('ж'))).toContain('ж');
  await stream.finish();
});

it('does what its own file adds, and says which verbs it has', async () => {
  await failure('closed', () => open().ask('layers', 1));
  await client.load(await wakeWordsModel());
  expect(await client.ask('layers', 1)).toBe(5);
  await expect(client.ask('fail')).rejects.toThrow('my own');
  const other = client as unknown as RecognizerClient<{ toString: () => void }>;
  expect(await failure('bad-argument', () => other.ask('toString'))).toContain('expected layers, fail, loseDevice');
});

it('hands on when the fastest kernels are to be found', async () => {
  open();
  const rehearse = 'sometime' as 'after';
  const loading = async () => client.load(await wakeWordsModel(), { device: 'webgpu', rehearse });
  expect(await failure('bad-argument', loading)).toContain('rehearse: "sometime"');
});

it('answers to its methods only', async () => {
  open();
  const call = (method: string) =>
    new Promise<FromHost>((resolve) => {
      const scope = globalThis as unknown as { onmessage: (event: { data: unknown }) => void };
      vi.stubGlobal('postMessage', resolve);
      scope.onmessage({ data: { call: 1, method, args: [] } });
    });
  for (const method of ['receive', 'constructor', '__proto__', 'toString', 'resume']) {
    expect(await call(method), method).toMatchObject({ call: 1, error: { code: 'bad-argument' } });
  }
});

it('tells of preparing, and for which device, and is ready when a stream can be fed', async () => {
  const events: LoadEvent[] = [];
  await open().load(await wakeWordsModel(), { device: 'cpu', onProgress: (event) => events.push(event) });
  const preparing = events.filter((event) => event.status === 'prepare');
  expect(new Set(preparing.map(({ device }) => device))).toEqual(new Set(['cpu']));
  const prepared = preparing.map(({ progress }) => progress);
  expect(prepared.length).toBeGreaterThan(40);
  expect(prepared).toEqual([...prepared].sort((a, b) => a - b));
  expect(prepared.at(-1)).toBeLessThanOrEqual(100);
  expect(events.at(-1)?.status).toBe('ready');
  expect(events.filter(({ status }) => status === 'ready')).toHaveLength(1);
});

describe('when GPU device after device is lost', () => {
  /** Loads on a GPU, loses devices, and gives what runs after each loss. */
  async function lose(device: DeviceName, losses: number): Promise<string[]> {
    const after: string[] = [];
    let news: () => void = () => undefined;
    const tell = (what: string) => {
      after.push(what);
      news();
    };
    open({
      onRecovered: ({ device: { kind } }) => {
        tell(kind);
      },
      onRecoveryFailed: (error) => {
        tell((error as RillError).code);
      },
    });
    stubPageGpu(context, { description: 'a GPU' });
    // As if the GPU had been the faster one before.
    vi.stubGlobal('caches', { open: async () => ({ match: async () => new Response('"webgpu"') }) });
    const kernels = { convolutions: 'plain', matrices: 'plain' } as const;
    await client.load(await wakeWordsModel(), { device, kernels });
    for (let loss = 0; loss < losses; loss++) {
      const told = new Promise<void>((resolve) => (news = resolve));
      await client.ask('loseDevice');
      await told;
    }
    return after;
  }

  it('goes on on the CPU, and hears', async () => {
    expect(await lose('auto', 4)).toEqual(['webgpu', 'webgpu', 'webgpu', 'cpu']);
    const updates = await hear('jarvis');
    expect(updates.map(({ result }) => result.text)).toContain('jarvis');
    expect(updates.at(-1)?.ended).toBe(true);
  });

  it.runIf(testsAll)('gives up where the GPU was insisted on', async () => {
    expect(await lose('webgpu', 4)).toEqual(['webgpu', 'webgpu', 'webgpu', 'device-lost']);
  });
});
