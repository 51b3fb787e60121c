import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { resampled } from '../../src/waveform/resampler.ts';
import { sample } from '../support/fixtures.ts';
import { wavFile } from '../../tools/wav.ts';
import {
  Client,
  type SherpaMessage,
  floatBytes,
  piecesOf,
  speakSherpa,
  speakVosk,
  startServer,
} from '../support/server.ts';

type Running = Awaited<ReturnType<typeof startServer>> & { sherpa: string };

let running: Running | undefined;
async function start(options: Parameters<typeof startServer>[0]): Promise<Running> {
  const started = await startServer(options);
  return (running = { ...started, sherpa: started.http.replace('http', 'ws') });
}
afterEach(async () => {
  await running?.server.close();
});

const refusals = async ({ http }: Running) => (await (await fetch(`${http}/metrics`)).text()).split('\n');

describe('a server with a token', () => {
  it('opens to who has it, by header or query, and to nobody else', async () => {
    const server = await start({ tokens: ['open sesame', 'secret'] });
    const wave = await sample('computer');
    const heard = await speakSherpa(server.sherpa, wave, { headers: { authorization: 'Bearer secret' } });
    expect(heard.at(-1)?.text).toBe('computer');
    const byQuery = new Client(`${server.sherpa}/?token=secret`);
    await byQuery.opened;
    byQuery.socket.close();
    for (const address of [server.sherpa, `${server.sherpa}/?token=wrong`, server.vosk]) {
      await expect(new Client(address).opened).rejects.toThrow(/^401 .*unauthorized/);
    }
    const post = (headers: Record<string, string>) =>
      fetch(`${server.http}/transcribe`, { method: 'POST', body: 'x', headers });
    expect((await post({})).headers.get('www-authenticate')).toBe('Bearer');
    expect((await post({ authorization: 'Bearer secret' })).status).toBe(400);
    expect((await fetch(`${server.http}/readyz`)).status).toBe(200);
    expect(await refusals(server)).toContain('rill_refusals_total{reason="unauthorized"} 4');
    expect(JSON.stringify(server.log)).not.toContain('secret');
  });
});

describe('limits', () => {
  it('on calls: refuses with 503 and why, and lets in again when one has gone', async () => {
    const server = await start({ limits: { maxSessions: 2 } });
    const clients = [new Client(server.sherpa), new Client(server.vosk)];
    await Promise.all(clients.map(({ opened }) => opened));
    await expect(new Client(server.sherpa).opened).rejects.toThrow(/^503 .*"error":"full"/);
    const posted = await fetch(`${server.http}/transcribe`, { method: 'POST', body: 'RIFF' });
    expect([posted.status, posted.headers.get('retry-after')]).toEqual([503, '5']);
    clients[0].socket.close();
    await clients[0].closed;
    await expect.poll(() => server.server.sessions).toBe(1);
    expect((await speakSherpa(server.sherpa, await sample('alexa'))).at(-1)?.text).toBe('alexa');
  });

  it('on bytes and seconds, of messages and of recordings', async () => {
    const server = await start({ limits: { maxMessageBytes: 10_000, maxBodyBytes: 20_000, maxCallSeconds: 1 } });
    const large = new Client(server.sherpa);
    await large.opened;
    large.socket.send(Buffer.alloc(10_001));
    expect((await large.closed).code).toBe(1009);
    const long = new Client(server.sherpa);
    await long.opened;
    for (const piece of piecesOf({ samples: new Float32Array(20_000), sampleRate: 16_000 }, 0.1)) {
      long.socket.send(floatBytes(piece));
    }
    expect(await long.closed).toMatchObject({ code: 1008, reason: expect.stringContaining('at most 1 s') as string });
    const post = (body: BodyInit, more: RequestInit = {}) =>
      fetch(`${server.http}/transcribe`, { method: 'POST', body, ...more });
    expect((await post(Buffer.alloc(20_001))).status).toBe(413);
    const { samples } = await sample('stream');
    const bytes = wavFile({ samples: samples.subarray(0, 17_000), sampleRate: 16_000 });
    expect(bytes.length).toBeGreaterThan(20_000);
    const pieces = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(bytes);
        controller.close();
      },
    });
    expect((await post(pieces, { duplex: 'half' } as RequestInit)).status).toBe(413);
  });

  it('on silence: whoever sends nothing is closed, whether a call has begun or not', async () => {
    const server = await start({ limits: { idleSeconds: 0.3 } });
    const silent = [new Client(server.sherpa), new Client(server.vosk), new Client(server.sherpa)];
    await Promise.all(silent.map(({ opened }) => opened));
    const { samples } = await sample('computer');
    silent[2].socket.send(floatBytes(samples));
    const ends = await Promise.all(silent.map(({ closed }) => closed));
    expect(ends.map(({ code }) => code)).toEqual([1000, 1000, 1000]);
    // What was heard is told before.
    expect(silent[2].results.at(-1)).toMatchObject({ text: expect.stringMatching(/^comp/) as string, is_final: true });
  });
});

describe('SIGTERM', () => {
  it('lets nobody in, lets calls end, and tells the rest what was heard', async () => {
    const server = await start({ limits: { drainSeconds: 1 } });
    const wave = await sample('computer');
    const [idle, ending, staying, lockstep] = [server.sherpa, server.sherpa, server.sherpa, server.vosk].map(
      (address) => new Client(address),
    );
    await Promise.all([idle, ending, staying, lockstep].map(({ opened }) => opened));
    for (const { socket } of [ending, staying]) {
      socket.send(floatBytes(wave.samples));
    }
    lockstep.socket.send(Buffer.alloc(1600));
    await lockstep.until(({ length }) => length === 1);
    await staying.until((texts) => texts.some((text) => text.includes('computer')));
    const drained = server.server.drain();
    expect((await idle.closed).code).toBe(1001);
    const ready = await fetch(`${server.http}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([503, { error: 'draining' }]);
    await expect(new Client(server.sherpa).opened).rejects.toThrow(/^503 .*draining/);
    ending.socket.send('Done');
    expect((await ending.closed).code).toBe(1000);
    expect(ending.texts.at(-1)).toBe('Done!');
    expect((await staying.closed).code).toBe(1012);
    expect(staying.results.at(-1)).toMatchObject({ text: 'computer', is_final: true, is_eof: false });
    expect((await lockstep.closed).code).toBe(1012);
    await drained;
    await expect(fetch(`${server.http}/healthz`)).rejects.toThrow();
  });
});

/** What was said, and when; which message was the last depends on when the client's end came. */
const saidIn = (results: readonly SherpaMessage[]) =>
  results.flatMap(({ text, timestamps, segment, start_time, is_final }) =>
    is_final && text !== '' ? [{ text, timestamps, segment, start_time }] : [],
  );

describe('bad clients disturb nobody', () => {
  it('slow, silent, babbling, lying and half-open ones, beside two good ones', async () => {
    const server = await start({ limits: { maxUnsentBytes: 20_000, pingSeconds: 3, maxSessions: 40 } });
    const wave = await sample('stream');
    const expected = {
      sherpa: await speakSherpa(server.sherpa, wave),
      vosk: await speakVosk(server.vosk, wave),
    };
    await expect.poll(() => server.server.sessions).toBe(0);

    // Says that 8 kHz are 16, that 16 bits are floats, and that a song is text.
    const lying = new Client(`${server.sherpa}/?sample_rate=48000&format=s16le`);
    const nonsense = new Client(server.sherpa);
    const rateless = new Client(`${server.sherpa}/?sample_rate=5`);
    const babbling = new Client(server.vosk);
    const huge = new Client(server.sherpa);
    const silent = new Client(server.vosk);
    const flood = new Client(server.sherpa);
    await Promise.all([lying, nonsense, rateless, babbling, huge, silent, flood].map(({ opened }) => opened));
    lying.socket.send(floatBytes(resampled(wave, 8000).samples));
    nonsense.socket.send(Buffer.alloc(4096, 0xff));
    rateless.socket.send(Buffer.alloc(4096));
    babbling.socket.send('la la la');
    huge.socket.send(Buffer.alloc(5 << 20));
    for (let i = 0; i < 2000; i++) {
      flood.socket.send(i % 2 ? 'x' : Buffer.alloc(i % 7));
    }
    // Sends a recording, and never reads a byte of the answers.
    const deaf = connect(server.server.port, '127.0.0.1');
    deaf.on('error', () => undefined);
    deaf.write(
      'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    deaf.pause();
    // Begins a request, and never ends it.
    const halfOpen = connect(server.server.port, '127.0.0.1');
    halfOpen.on('error', () => undefined);
    halfOpen.write('GET / HTTP/1.1\r\nHost:');

    const [good, goodVosk] = await Promise.all([
      speakSherpa(server.sherpa, wave, { pauseMs: 2 }),
      speakVosk(server.vosk, wave),
    ]);
    expect(saidIn(good)).toEqual(saidIn(expected.sherpa));
    expect(goodVosk).toEqual(expected.vosk);

    expect((await nonsense.closed).code).toBe(1007);
    expect((await rateless.closed).code).toBe(1007);
    expect((await babbling.closed).code).toBe(1007);
    expect((await huge.closed).code).toBe(1009);
    // Whoever does not answer a ping is gone; who is merely silent stays until it has been idle for long.
    await expect.poll(() => server.server.sessions, { timeout: 60_000 }).toBe(3);
    expect(silent.socket.readyState).toBe(silent.socket.OPEN);
    [lying, silent, flood].forEach(({ socket }) => {
      socket.close();
    });
    [halfOpen, deaf].forEach((socket) => socket.destroy());
    await expect.poll(() => server.server.sessions, { timeout: 30_000 }).toBe(0);
  });
});
