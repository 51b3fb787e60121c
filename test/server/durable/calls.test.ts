import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RillError } from '../../../src/errors.ts';
import { openModel } from '../../../src/model/model.ts';
import { OnlineRecognizer } from '../../../src/recognizer/recognizer.ts';
import type { RecognitionResult } from '../../../src/recognizer/results.ts';
import { SessionManager } from '../../../src/recognizer/sessions.ts';
import type { CallEnd, CallOptions, DurableCall } from '../../../src/server/durable/call.ts';
import { DurableCalls } from '../../../src/server/durable/calls.ts';
import { MemoryCallStore, type CallStore } from '../../../src/server/durable/store.ts';
import { WasmEngine } from '../../../src/wasm/engine.ts';
import type { Waveform } from '../../../src/waveform/waveform.ts';
import { failure } from '../../support/failure.ts';
import { sample, wakeWordsModel } from '../../support/fixtures.ts';

const ID = 'call-1';
/** No save between those that a test asks for. */
const NEVER = 3600;

describe('DurableCalls', () => {
  const engine = new WasmEngine();
  let recognizer: OnlineRecognizer;
  let audio: Waveform;
  let unbroken: RecognitionResult[];

  beforeAll(async () => {
    const model = openModel(await wakeWordsModel());
    recognizer = await OnlineRecognizer.create(engine, model, { maxStreams: 8, chunkFrames: 4 });
    audio = await sample('smart-mirror');
    unbroken = [];
    for await (const result of recognizer.transcribe([audio])) {
      unbroken.push(result);
    }
  });
  afterAll(() => {
    recognizer.dispose();
    engine.dispose();
  });

  const server = (store: CallStore, onError: (id: string, error: unknown) => void = () => undefined) =>
    new DurableCalls(new SessionManager(recognizer), store, { saveSeconds: NEVER, onError });

  /** A client: what it has heard of its call, by number, across its connections. */
  class Client {
    readonly heard = new Map<number, RecognitionResult>();
    acknowledged = 0;

    /** Connects; `told` has what this connection brought. */
    async connect(calls: DurableCalls, options: Partial<CallOptions> = {}) {
      const told: number[] = [];
      let end: (value: CallEnd) => void = () => undefined;
      const closed = new Promise<CallEnd>((resolve) => (end = resolve));
      const call = await calls.open({
        id: ID,
        sampleRate: audio.sampleRate,
        heard: this.heard.size,
        onResult: (result, number) => {
          told.push(number);
          this.heard.set(number, result);
        },
        onAcknowledged: (samples) => (this.acknowledged = samples),
        onClose: (reason) => {
          end(reason);
        },
        ...options,
      });
      return { call, told, closed };
    }

    get results(): RecognitionResult[] {
      return [...this.heard.values()];
    }
  }

  const push = (call: DurableCall, from: number, to = audio.samples.length) => {
    call.push(audio.samples.subarray(from, to), from);
  };
  const third = () => Math.floor(audio.samples.length / 3);

  it('goes on at another server from what was acknowledged, and tells each result once', async () => {
    const store = new MemoryCallStore();
    const client = new Client();
    const first = await client.connect(server(store));
    push(first.call, 0, third());
    await first.call.save();
    expect(client.acknowledged).toBe(third());
    // Taken and half heard, and lost with the first server.
    push(first.call, third(), 2 * third());
    await first.call.ready();

    const second = await client.connect(server(store));
    expect([second.call.acknowledged, second.call.samples]).toEqual([third(), third()]);
    expect(await failure('bad-argument', () => push(second.call, 2 * third()))).toContain(`from ${third()} on`);
    // More than it needs: what was taken is dropped.
    push(second.call, third() - 1000);
    push(second.call, 0, third());
    second.call.finish();
    expect(await second.closed).toBe('finished');
    expect(client.results).toEqual(unbroken);
    expect([...client.heard.keys()]).toEqual(unbroken.map((_, i) => i + 1));
  });

  it('lets no server save what another has taken over', async () => {
    const store = new MemoryCallStore();
    const [zombie, client] = [new Client(), new Client()];
    const old = await zombie.connect(server(store));
    push(old.call, 0, third());
    const now = await client.connect(server(store));
    expect(now.call.acknowledged).toBe(0);
    await old.call.save();
    expect(await old.closed).toBe('moved');
    expect(zombie.acknowledged).toBe(0);
    await failure('closed', () => push(old.call, third()));
    push(now.call, 0);
    now.call.finish();
    await now.closed;
    expect(client.results).toEqual(unbroken);
  });

  it('lets go of a call at drain, and refuses others', async () => {
    const store = new MemoryCallStore();
    const calls = server(store);
    const client = new Client();
    const { call, closed } = await client.connect(calls);
    push(call, 0, third());
    await calls.drain();
    expect(await closed).toBe('suspended');
    expect([calls.size, client.acknowledged]).toEqual([0, third()]);
    await failure('busy', () => client.connect(calls));
    const next = await client.connect(server(store));
    push(next.call, client.acknowledged);
    next.call.finish();
    await next.closed;
    expect(client.results).toEqual(unbroken);
  });

  it('takes a call over from a connection of its own that has not noticed its end', async () => {
    const calls = server(new MemoryCallStore());
    const client = new Client();
    const first = await client.connect(calls);
    push(first.call, 0, third());
    const [second, third_] = await Promise.all([client.connect(calls), client.connect(calls)]);
    expect(await first.closed).toBe('moved');
    expect(await second.closed).toBe('moved');
    expect([calls.size, third_.call.acknowledged]).toEqual([1, third()]);
    await third_.call.discard();
    expect((await client.connect(calls)).call.acknowledged).toBe(0);
  });

  it('tells again what a client has not heard, also of a call that is over, until it is confirmed', async () => {
    const store = new MemoryCallStore();
    const { call, closed } = await new Client().connect(server(store));
    push(call, 0);
    call.finish();
    await closed;
    const late = new Client();
    const again = await late.connect(server(store));
    expect(await again.closed).toBe('finished');
    expect(late.results.filter(({ isFinal }) => isFinal)).toEqual(unbroken.filter(({ isFinal }) => isFinal));
    expect([...late.heard.keys()].at(-1)).toBe(unbroken.length);
    await again.call.confirm(unbroken.length);
    // Of its results nothing is kept; that it is over is.
    const confirmed = await new Client().connect(server(store));
    expect([await confirmed.closed, confirmed.told]).toEqual(['finished', []]);
    expect(confirmed.call.acknowledged).toBe(audio.samples.length);
  });

  it('lets go of a call when nothing comes for long, its last words open', async () => {
    const client = new Client();
    const sessions = new SessionManager(recognizer, { idleSeconds: 0.05 });
    const calls = new DurableCalls(sessions, new MemoryCallStore(), { saveSeconds: NEVER });
    const { call, closed } = await client.connect(calls);
    push(call, 0, third());
    expect(await closed).toBe('idle');
    const next = await client.connect(calls);
    push(next.call, third());
    next.call.finish();
    expect(await next.closed).toBe('finished');
    expect(client.results).toEqual(unbroken);
  });

  it('says that a call is lost whose results were heard, and that is kept no longer', async () => {
    const store = new MemoryCallStore();
    expect(await failure('bad-argument', () => new Client().connect(server(store), { heard: 3 }))).toContain(
      'no longer',
    );
    // Its server has ended before the first save: all of it is sent again, and nothing is told twice.
    const { call } = await new Client().connect(server(store));
    push(call, 0, third());
    const again = await new Client().connect(server(store), { heard: 1 });
    expect(again.call.acknowledged).toBe(0);
    await again.call.discard();
  });

  it('keeps a call whose client has gone until it can be saved', async () => {
    const store = new MemoryCallStore();
    const calls = new DurableCalls(new SessionManager(recognizer), store, { saveSeconds: 0.02 });
    const client = new Client();
    const { call, closed } = await client.connect(calls);
    push(call, 0, third());
    const down = vi.spyOn(store, 'save').mockRejectedValue(new Error('down'));
    expect(await call.suspend()).toBe(false);
    // Neither can another connection have it, which would begin at an older state.
    await failure('network', () => client.connect(calls));
    down.mockRestore();
    expect(await closed).toBe('suspended');
    const next = await client.connect(calls);
    expect(next.call.acknowledged).toBe(third());
    await next.call.discard();
  });

  it('takes a call over as it is here, where the store has lost it', async () => {
    const store = new MemoryCallStore();
    const calls = server(store);
    const client = new Client();
    const first = await client.connect(calls);
    push(first.call, 0, third());
    const fresh = new MemoryCallStore();
    vi.spyOn(store, 'claim').mockImplementation((id) => fresh.claim(id));
    vi.spyOn(store, 'save').mockImplementation((...state) => fresh.save(...state));
    const second = await client.connect(calls, { heard: 1 });
    expect([await first.closed, second.call.acknowledged]).toEqual(['moved', third()]);
    await second.call.discard();
  });

  it('keeps nothing of a call in which nothing was said', async () => {
    const store = new MemoryCallStore();
    const save = vi.spyOn(store, 'save');
    const { call } = await new Client().connect(server(store));
    expect(await call.suspend()).toBe(true);
    expect(save).not.toHaveBeenCalled();
  });

  it('refuses another rate without taking the call away from who has it', async () => {
    const calls = server(new MemoryCallStore());
    const { call } = await new Client().connect(calls);
    await failure('bad-argument', () => new Client().connect(calls, { sampleRate: 8000 }));
    push(call, 0, third());
    await call.discard();
  });

  it('goes on where the store fails, and saves when it is back', async () => {
    const store = new MemoryCallStore();
    const errors: unknown[] = [];
    const client = new Client();
    const { call, closed } = await client.connect(server(store, (_, error) => errors.push(error)));
    push(call, 0, third());
    const down = vi.spyOn(store, 'save').mockRejectedValue(new Error('down'));
    await call.save();
    expect([errors.length, client.acknowledged]).toEqual([1, 0]);
    down.mockRestore();
    await call.save();
    expect(client.acknowledged).toBe(third());
    push(call, third());
    call.finish();
    await closed;
    expect(client.results).toEqual(unbroken);
  });

  it('saves every few seconds by itself, and not what has not changed', async () => {
    const store = new MemoryCallStore();
    const save = vi.spyOn(store, 'save');
    const calls = new DurableCalls(new SessionManager(recognizer), store, { saveSeconds: 0.02 });
    const client = new Client();
    const { call } = await client.connect(calls);
    push(call, 0, third());
    await vi.waitFor(() => {
      expect(client.acknowledged).toBe(third());
    });
    const { length } = save.mock.calls;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(save.mock.calls.length).toBeLessThan(length + 3);
    await call.discard();
  });

  it.each([{ id: '' }, { id: 'a'.repeat(201) }])('refuses $id as a name', async (options) => {
    await failure('bad-argument', () => new Client().connect(server(new MemoryCallStore()), options));
  });

  it('refuses another rate than the call began with, and a state that is damaged', async () => {
    const store = new MemoryCallStore();
    const { call } = await new Client().connect(server(store));
    push(call, 0, third());
    await call.suspend();
    await failure('bad-argument', () => new Client().connect(server(store), { sampleRate: 8000 }));
    const { owner } = await store.claim(ID);
    await store.save(ID, owner, Uint8Array.of(1, 2, 3));
    await failure('bad-snapshot', () => new Client().connect(server(store)));
    expect(() => new DurableCalls(new SessionManager(recognizer), store, { saveSeconds: 0 })).toThrow(RillError);
  });
});
