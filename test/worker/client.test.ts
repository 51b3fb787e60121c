import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RecognizerClient } from '../../src/worker/client.ts';
import type { FromHost, StreamUpdate, ToHost } from '../../src/worker/messages.ts';
import { failure } from '../support/failure.ts';

/** A worker as far as a client uses it: answers by hand. */
class FakeWorker {
  onmessage: (event: { data: FromHost }) => void = () => undefined;
  readonly posted: ToHost[] = [];
  readonly terminate = vi.fn();

  postMessage(message: ToHost): void {
    this.posted.push(message);
  }

  say(data: FromHost): void {
    this.onmessage({ data });
  }

  serve(): void {
    this.say({ event: { type: 'ready' } });
  }

  /** Calls that nobody has answered yet. */
  get calls() {
    return this.posted.flatMap((message) => ('call' in message ? [message] : []));
  }

  answer(method: string): void {
    for (const { call } of this.calls.filter((message) => message.method === method)) {
      this.say({ call, value: undefined });
    }
  }
}

const AUDIO = { samples: new Float32Array(160), sampleRate: 16000 };
const LAST = { ended: true } as StreamUpdate;

describe('RecognizerClient', () => {
  let worker: FakeWorker;
  let client: RecognizerClient;
  const uncaught = vi.fn();

  const open = async (onError?: (error: Error) => void) => {
    const opening = client.createStream({ onUpdate: () => undefined, onError });
    worker.answer('open');
    return opening;
  };

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('reportError', uncaught);
    uncaught.mockClear();
    worker = new FakeWorker();
    client = new RecognizerClient(worker as unknown as Worker, { startSeconds: 5 });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('tells no stream when the page itself disposes of it, and whoever waits for an answer', async () => {
    worker.serve();
    const onError = vi.fn();
    const streams = [await open(), await open(onError)];
    const waiting = failure('closed', () => client.setChunkFrames(4));
    const ending = failure('closed', () => streams[0].finish());
    client.dispose();
    await Promise.all([waiting, ending]);
    streams.forEach((stream) => {
      stream.push(AUDIO);
      void stream.finish();
      stream.discard();
    });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(onError).not.toHaveBeenCalled();
    expect(uncaught).not.toHaveBeenCalled();
    expect(worker.terminate).toHaveBeenCalledTimes(1);
  });

  it('gives up a worker that never calls serveRecognizer, and says so', async () => {
    const loading = failure('worker', () => client.load({ 'config.json': '', 'model.safetensors': new Uint8Array() }));
    await vi.advanceTimersByTimeAsync(5000);
    expect(await loading).toContain('has not called serveRecognizer() for 5 s');
    expect(await failure('worker', () => client.isSupported())).toContain('serveRecognizer');
    expect(worker.calls).toEqual([]);
  });

  it('waits for as long as a load takes once the worker serves, and posts what was asked before', async () => {
    const loading = client.load({ 'config.json': '', 'model.safetensors': new Uint8Array() });
    await vi.advanceTimersByTimeAsync(4000);
    expect(worker.posted).toEqual([{ hello: true }]);
    worker.serve();
    expect(worker.calls.map(({ method }) => method)).toEqual(['load']);
    await vi.advanceTimersByTimeAsync(100_000);
    worker.answer('load');
    expect(await loading).toBeUndefined();
  });

  it('finish resolves behind the last update, and rejects when the stream fails before', async () => {
    worker.serve();
    const [good, bad] = [await open(), await open(() => undefined)];
    const ended = good.finish();
    const failed = failure('gpu', () => bad.finish());
    const complaint = { message: '', code: 'gpu', got: 'a', expected: 'b', remedy: 'c' } as const;
    worker.say({ event: { type: 'update', stream: good.id, update: LAST } });
    worker.say({ event: { type: 'error', stream: bad.id, error: complaint } });
    await Promise.all([ended, failed]);
    // Of a stream that has ended there is nothing to wait for.
    await good.finish();
  });

  it('says that a stream’s last words are lost to whoever waits for them', async () => {
    worker.serve();
    const stream = await open();
    const ending = failure('closed', () => stream.finish());
    stream.discard();
    expect(await ending).toContain('discarded');
  });

  it.each([
    ['a bare array', new Float32Array(4), 'got a Float32Array in place of a piece of audio'],
    ['nothing', undefined, 'got undefined in place of'],
    ['plain numbers', { samples: [0, 1], sampleRate: 16000 }, 'got samples in a Array'],
    ['no rate', { samples: new Float32Array(4) }, 'got a sample rate that is undefined'],
    ['no number', { samples: Float32Array.of(NaN), sampleRate: 16000 }, 'got NaN at sample 0'],
  ])('refuses to push %s', async (_, audio, message) => {
    worker.serve();
    const stream = await open();
    expect(await failure('bad-audio', () => stream.push(audio as never))).toContain(message);
    expect(worker.calls.filter(({ method }) => method === 'push')).toEqual([]);
  });
});
