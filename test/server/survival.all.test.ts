import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../src/encoder/engine.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { MemoryCallStore, type ServerOptions } from '../../src/server/index.ts';
import { LOST, TAKEN_OVER } from '../../src/server/durable-dialogue.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { sample } from '../support/fixtures.ts';
import { Client, floatBytes, speakSherpa, startServer } from '../support/server.ts';

type Running = Awaited<ReturnType<typeof startServer>>;

const running: Running[] = [];
let wave: Waveform;
let unbroken: string[];

async function start(options: Partial<ServerOptions> = {}): Promise<Running> {
  const server = await startServer({ voskPort: undefined, ...options });
  running.push(server);
  return server;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ server }) => server.close()));
});

const socketOf = ({ http }: Running) => http.replace('http', 'ws');
const texts = (results: readonly { text: string; is_final: boolean }[]) =>
  results.flatMap(({ text, is_final }) => (is_final && text !== '' ? [text] : []));

beforeAll(async () => {
  wave = await sample('stream');
  unbroken = texts(await speakSherpa(socketOf(await start()), wave));
});

/** Somebody who speaks one call over several connections. */
class Caller {
  readonly #results = new Map<number, { text: string; is_final: boolean; number: number }>();

  /** Connects, and is told where to begin. */
  async connect(server: Running, query = 'call=mine'): Promise<Client> {
    const client = new Client(`${socketOf(server)}/?${query}&heard=${Math.max(0, ...this.#results.keys())}`);
    await client.opened;
    await client.until((all) => all.some((text) => text.includes('acknowledged')));
    return client;
  }

  /** Says all from where it is to begin, in seconds of the call; then what ends the connection comes. */
  async speak(client: Client, until: number, end?: string): Promise<void> {
    const from = acknowledged(client)[0];
    client.socket.send(floatBytes(wave.samples.subarray(from, Math.round(until * wave.sampleRate))));
    if (end !== undefined) {
      client.socket.send(end);
      await client.until((all) => all.includes('Done!'));
    }
  }

  /** Keeps what a connection has told. */
  take(client: Client): void {
    for (const text of client.texts.filter((each) => each.includes('"number"'))) {
      const result = JSON.parse(text) as { text: string; is_final: boolean; number: number };
      expect(this.#results.has(result.number)).toBe(false);
      this.#results.set(result.number, result);
    }
  }

  get texts(): string[] {
    return texts([...this.#results.values()]);
  }
}

const acknowledged = ({ texts: all }: Client) =>
  all.flatMap((text) => {
    const value = /^\{"acknowledged":(\d+)\}$/.exec(text)?.[1];
    return value === undefined ? [] : [Number(value)];
  });
const all = () => wave.samples.length / wave.sampleRate;

describe('a call with a name', () => {
  it('goes on at another server as soon as the first one ends, with every word told once', async () => {
    const callStore = new MemoryCallStore();
    const [first, second] = [await start({ callStore }), await start({ callStore })];
    const caller = new Caller();
    const client = await caller.connect(first);
    await caller.speak(client, 12);
    await client.until((each) => each.some((text) => text.includes('"is_final":true')));
    const draining = first.server.drain();
    expect((await client.closed).code).toBe(1012);
    await draining;
    caller.take(client);
    const again = await caller.connect(second);
    expect(acknowledged(again)[0]).toBeGreaterThan(0);
    await caller.speak(again, all(), 'Done');
    caller.take(again);
    expect(caller.texts).toEqual(unbroken);
    const metrics = await (await fetch(`${second.http}/metrics`)).text();
    expect(metrics).toContain('\nrill_calls_resumed_total 1');
    // The name is a secret, and so is what was said.
    expect(JSON.stringify([first.log, second.log])).not.toMatch(/mine|view/);
  });

  it('takes the place of its own lost connection in a server that is full, and no other', async () => {
    const server = await start({ limits: { maxSessions: 1 } });
    const caller = new Caller();
    const lost = await caller.connect(server);
    await caller.speak(lost, 5);
    await expect(new Caller().connect(server, 'call=other')).rejects.toThrow('503');
    // What its last connection tells from here on does not reach it.
    caller.take(lost);
    const again = await caller.connect(server);
    expect((await lost.closed).code).toBe(TAKEN_OVER);
    again.socket.close();
    await again.closed;
    caller.take(again);
    const last = await caller.connect(server);
    await caller.speak(last, all(), 'Done');
    caller.take(last);
    expect(caller.texts).toEqual(unbroken);
    // Also when the call is over: one connection has it, and its place.
    const late = await new Caller().connect(server);
    expect((await last.closed).code).toBe(TAKEN_OVER);
    expect(server.server.sessions).toBe(1);
    late.socket.terminate();
    await expect.poll(() => server.server.sessions).toBe(0);
    const ends = server.log.filter(({ message }) => message === 'client went').map(({ fields }) => fields.end);
    expect(ends.at(-1)).toBe('lost');
  });

  it('keeps its place until it is saved', async () => {
    const callStore = new MemoryCallStore();
    const server = await start({ callStore, limits: { maxSessions: 1 } });
    const client = await new Caller().connect(server);
    client.socket.send(floatBytes(wave.samples.subarray(0, 16_000)));
    client.socket.send('{"heard": 0}');
    let save: () => void = () => undefined;
    const saved = new Promise<void>((resolve) => (save = resolve));
    const saving = new Promise<void>((resolve) => {
      vi.spyOn(callStore, 'save').mockImplementation(async () => {
        resolve();
        await saved;
        return true;
      });
    });
    client.socket.terminate();
    await saving;
    expect(server.server.sessions).toBe(1);
    await expect(new Caller().connect(server, 'call=other')).rejects.toThrow('503');
    save();
    await expect.poll(() => server.server.sessions).toBe(0);
  });

  it('is let go when nothing comes for long, and goes on as if there had been no pause', async () => {
    const server = await start({ limits: { idleSeconds: 0.5 } });
    const caller = new Caller();
    const silent = await caller.connect(server);
    await caller.speak(silent, 9);
    expect((await silent.closed).code).toBe(1000);
    caller.take(silent);
    const again = await caller.connect(server);
    await caller.speak(again, all(), 'Done');
    caller.take(again);
    expect(caller.texts).toEqual(unbroken);
  });

  it('comes back to its last save when the device is lost', async () => {
    let engine: Engine | undefined;
    const server = await start({
      openEngine: async (losses) =>
        (engine = losses > 0 ? new WasmEngine() : new WebGpuEngine(await createNodeContext())),
      saveSeconds: 0.2,
    });
    const caller = new Caller();
    const lost = await caller.connect(server);
    await caller.speak(lost, 5);
    await lost.until((each) => each.filter((text) => text.includes('acknowledged')).length > 1);
    gpuOf(engine ?? new WasmEngine()).device.destroy();
    expect((await lost.closed).code).toBe(1012);
    caller.take(lost);
    await expect.poll(() => server.server.isReady, { timeout: 60_000 }).toBe(true);
    const again = await caller.connect(server);
    expect(acknowledged(again)[0]).toBeGreaterThan(0);
    await caller.speak(again, all(), 'Done');
    caller.take(again);
    expect(caller.texts).toEqual(unbroken);
  });

  it('is answered with a code of its own when it is kept no longer', async () => {
    const client = new Client(`${socketOf(await start())}/?call=gone&heard=5`);
    const { code, reason } = await client.closed;
    expect([code, reason.includes('no longer')]).toEqual([LOST, true]);
  });

  it.each(['call=', `call=${'x'.repeat(201)}`, 'call=a&heard=-1', 'call=a&heard=all', 'call=a&sample_rate=0'])(
    'is refused with ?%s',
    async (query) => {
      const client = new Client(`${socketOf(await start())}/?${query}`);
      await expect(client.opened).rejects.toThrow('400');
    },
  );
});
