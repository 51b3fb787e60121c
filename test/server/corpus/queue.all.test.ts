import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectAll, linesInOrder } from '../../../src/server/corpus/collect.ts';
import type { CorpusDescription } from '../../../src/server/corpus/description.ts';
import { CorpusQueue } from '../../../src/server/corpus/queue.ts';
import { ResultsFile } from '../../../src/server/corpus/results-file.ts';
import { CorpusWorker, type CorpusWorkerOptions } from '../../../src/server/corpus/worker.ts';
import { startRedis, type RedisProcess } from '../../../tools/server/redis-process.ts';
import { failure } from '../../support/failure.ts';
import { FakeHearing, corpusFiles, fakeLine } from './support.ts';

const tsx = fileURLToPath(new URL('../../../node_modules/tsx/dist/cli.mjs', import.meta.url));
const fragileWorker = fileURLToPath(new URL('fragile-worker.ts', import.meta.url));

let redis: RedisProcess;
let queue: CorpusQueue;
let corpora = 0;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  queue = await CorpusQueue.open(redis.url, `test-${corpora++}`);
});
afterEach(() => queue.close());

interface Line {
  audio: string;
  error?: string;
}

async function lines(): Promise<Line[]> {
  const { files } = await queue.describe();
  const found: Line[] = [];
  for await (const line of linesInOrder(queue.store, files)) {
    found.push(JSON.parse(line) as Line);
  }
  return found;
}

async function submit(names: readonly string[], more: Partial<CorpusDescription> = {}): Promise<void> {
  const files = corpusFiles(names);
  const description = {
    ...{ files: files.length, seconds: files.length, fingerprint: names.join(), model: 'm', modelHash: 'h', root: '' },
    ...{ settings: '{}', attempts: 3, retrySeconds: 0.05, heldBytes: 1e6 },
    ...more,
  };
  await queue.submit(description, files, { seconds: 4, files: 100 });
}

async function work(options: Partial<CorpusWorkerOptions> = {}, signal?: AbortSignal): Promise<void> {
  const all = { hearing: new FakeHearing(), lineOf: fakeLine, lockSeconds: 1, ...options };
  await new CorpusWorker(queue, await queue.describe(), all).run(signal);
}

const plain = (count: number) => Array.from({ length: count }, (_, i) => `${i}.wav`);

describe('a corpus in a queue', () => {
  it('is done once by several workers, collected in order, and leaves no job behind', async () => {
    await submit(plain(50));
    expect(await queue.status()).toMatchObject({ state: 'running', files: 0, total: 50, jobs: { waiting: 13 } });
    await Promise.all([work(), work(), work()]);
    expect((await lines()).map(({ audio }) => audio)).toEqual(plain(50));
    const status = await queue.status();
    expect(status).toMatchObject({ state: 'finished', files: 50, setAside: 0, again: 0, seconds: 50 });
    expect(status.jobs).toEqual({ waiting: 0, active: 0, delayed: 0 });
    await queue.clear();
    expect(await failure('bad-argument', () => queue.describe())).toMatch(/no corpus/);
  });

  it('takes the same list again for the same, and another one for a mistake', async () => {
    await submit(plain(9));
    await submit(plain(9));
    expect((await queue.status()).jobs.waiting).toBe(3);
    expect(await failure('busy', () => submit(plain(8)))).toMatch(/another list/);
  });

  it('sets a file aside that cannot be read after some attempts; the others of its job are heard once', async () => {
    await submit(['a.wav', 'unreadable.wav', 'b.wav']);
    const hearing = new FakeHearing();
    await work({ hearing });
    expect(hearing.begun.filter((name) => name === 'unreadable.wav')).toHaveLength(3);
    expect(hearing.begun.filter((name) => name !== 'unreadable.wav')).toEqual(['a.wav', 'b.wav']);
    expect((await lines())[1]).toEqual({ audio: 'unreadable.wav', error: 'no audio' });
    expect(await queue.status()).toMatchObject({ files: 3, setAside: 1 });
  });

  it('cuts up a job at which the engine fails again and again', async () => {
    await submit(['a.wav', 'fail.wav', 'b.wav', 'c.wav']);
    await work();
    expect((await lines()).map(({ error }) => error)).toEqual([undefined, 'the engine failed', undefined, undefined]);
  });

  it('cuts up a job that ends its worker’s process again and again, and sets that file aside', async () => {
    await submit(['a.wav', 'b.wav', 'crash.wav', 'c.wav', 'd.wav', 'e.wav']);
    let crashes = 0;
    for (;;) {
      const args = [tsx, fragileWorker, redis.url, queue.name];
      const [status] = (await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'exit')) as [number | null];
      if (status === 0) {
        break;
      }
      crashes++;
    }
    expect(crashes).toBe(5);
    const errors = (await lines()).map(({ audio, error }) => [audio, error]);
    expect(errors).toHaveLength(6);
    expect(errors.filter(([, error]) => error !== undefined)).toEqual([
      ['crash.wav', expect.stringMatching(/ended 3/)],
    ]);
  });

  it('does not take a worker that stood still for one that has ended', async () => {
    await submit(plain(1));
    const hearing = new FakeHearing();
    const redisClient = new Redis(redis.url);
    hearing.before = async () => {
      // As it is when the process stood still for longer than its lock lasts.
      await redisClient.del(`rill:corpus:${queue.name}:from-0:lock`);
      await vi.waitUntil(async () => (await queue.store.excused('from-0')).count === 1, { timeout: 30_000 });
    };
    await work({ hearing });
    expect(await queue.store.excused('from-0')).toEqual({ count: 1, alone: 0 });
    await redisClient.quit();
  });

  it('begins no job while it is paused', async () => {
    await submit(plain(8));
    await queue.pause();
    const hearing = new FakeHearing();
    const stop = new AbortController();
    await Promise.all([work({ hearing }, stop.signal), queue.status().finally(() => stop.abort())]);
    expect(hearing.begun).toEqual([]);
    expect(await queue.status()).toMatchObject({ state: 'paused', jobs: { waiting: 2, active: 0 } });
    await queue.resume();
    await work({ hearing });
    expect(hearing.begun).toHaveLength(8);
  });

  it('gets a job back at once from a worker that is stopped', async () => {
    await submit(plain(4));
    const stop = new AbortController();
    const hearing = new FakeHearing();
    hearing.before = ({ index }) => {
      if (index === 2) {
        stop.abort();
      }
    };
    await work({ hearing, lockSeconds: 600 }, stop.signal);
    expect(await queue.status()).toMatchObject({ files: 2, jobs: { waiting: 1, active: 0 } });
    await work({ lockSeconds: 600 });
    expect(await queue.status()).toMatchObject({ files: 4, again: 0 });
  });

  it('gives a job back when the recognizer cannot be opened, and the worker ends with the reason', async () => {
    await submit(plain(4));
    const hearing = new FakeHearing();
    hearing.ready = vi
      .fn<() => Promise<void>>()
      .mockResolvedValueOnce(undefined)
      .mockRejectedValue(new Error('no GPU'));
    await expect(work({ hearing })).rejects.toThrow('no GPU');
    expect((await queue.status()).jobs).toEqual({ waiting: 1, active: 0, delayed: 0 });
  });

  it('counts a file once that two workers have heard', async () => {
    await submit(plain(1));
    const hearing = new FakeHearing();
    hearing.before = async () => {
      await queue.store.keep({ index: 0, line: '{"audio":"first"}', seconds: 1, expected: 1, isSetAside: false });
    };
    await work({ hearing });
    expect(await lines()).toEqual([{ audio: 'first' }]);
    expect(await queue.status()).toMatchObject({ files: 1, again: 1, seconds: 1 });
  });

  it('takes what was heard after all for the line of a file that was set aside, and never an error for what was heard', async () => {
    await submit(plain(2));
    const kept = { index: 1, seconds: 0, expected: 1 };
    await queue.store.keep({ ...kept, line: '{"error":"its worker ended"}', isSetAside: true });
    await queue.store.keep({ ...kept, line: '{"audio":"heard"}', seconds: 3, isSetAside: false });
    await queue.store.keep({ ...kept, line: '{"error":"its worker ended"}', isSetAside: true });
    expect(await lines()).toEqual([{ audio: 'heard' }]);
    const counts = { files: 1, setAside: 0, again: 1, seconds: 3, expected: 1, bytes: '{"audio":"heard"}'.length };
    expect(await queue.store.counts()).toMatchObject(counts);
  });

  it('makes workers wait when Redis holds enough results, until who follows has taken them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rill-collect-'));
    const path = join(folder, 'results.jsonl');
    await submit(plain(20), { heldBytes: 100 });
    const notes: string[] = [];
    const working = work({ onNote: (text) => notes.push(text) });
    await vi.waitUntil(() => notes.join().includes('waiting'), { timeout: 60_000 });
    expect((await queue.status()).files).toBeLessThan(20);
    const stop = new AbortController();
    const collect = async () =>
      collectAll(queue.store, await ResultsFile.open(path, 'this'), 20, () => stop.abort(), stop.signal);
    await expect(collect()).rejects.toThrow();
    const results = await ResultsFile.open(path, 'this');
    const rest = collectAll(queue.store, results, 20, () => undefined, new AbortController().signal);
    await Promise.all([working, rest]);
    const written = (await readFile(path, 'utf8')).split('\n').filter(Boolean);
    expect(written.map((line) => (JSON.parse(line) as Line).audio)).toEqual(plain(20));
    expect(await queue.status()).toMatchObject({ bytes: 0, taken: 20 });
    expect(await failure('bad-argument', () => lines())).toMatch(/20 results that were taken/);
    await rm(folder, { recursive: true });
  });
});
