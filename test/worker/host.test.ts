import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { RecognizerClient } from '../../src/worker/client.ts';
import { serveRecognizer } from '../../src/worker/host.ts';
import type { FromHost, StreamUpdate, ToHost, WorkerModel } from '../../src/worker/messages.ts';
import type { GpuContext } from '../../src/webgpu/device/context.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';

const PLAIN = { kernels: { convolutions: 'plain', matrices: 'plain' } } as const;
const verbs = {
  layers: ({ model }: WorkerModel, plus: number) => model.sizes.encoder.numEncoderLayers + plus,
  fail: () => {
    throw new Error('my own');
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

function open(): RecognizerClient<typeof verbs> {
  vi.stubGlobal('navigator', { gpu: context.gpu });
  return (client = new RecognizerClient(workerHere()));
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
  expect(await open().isSupported()).toBe(true);
  vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => null } });
  expect(await client.isSupported()).toBe(false);
  vi.stubGlobal('navigator', {});
  expect(await client.isSupported()).toBe(false);
});

it('spots keywords: each once, in a segment of its own, without text', async () => {
  const info = await open().loadSpotter(await wakeWordsModel(), PLAIN);
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
  await open().load(await wakeWordsModel(), { ...PLAIN, decodingMethod: 'modified_beam_search' });
  const stream = await client.createStream({ onUpdate: () => undefined });
  await stream.setHotwords('Alexa :2');
  expect(await failure('bad-model', () => stream.setHotwords('ж'))).toContain('ж');
  await stream.finish();
});

it('does what its own file adds, and says which verbs it has', async () => {
  await failure('closed', () => open().ask('layers', 1));
  await client.load(await wakeWordsModel(), PLAIN);
  expect(await client.ask('layers', 1)).toBe(5);
  await expect(client.ask('fail')).rejects.toThrow('my own');
  const other = client as unknown as RecognizerClient<{ toString: () => void }>;
  expect(await failure('bad-argument', () => other.ask('toString'))).toContain('expected layers, fail');
});
