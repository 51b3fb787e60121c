import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Engine } from '../../src/encoder/engine.ts';
import { openModel, type Model } from '../../src/model/model.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import {
  SessionManager,
  type CloseReason,
  type SessionOptions,
  type SessionStep,
} from '../../src/recognizer/sessions.ts';
import { WebGpuEngine } from '../../src/webgpu/engine.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { randomSource } from '../../tools/runtime/random-model.ts';
import { ENGINE_KINDS, openTestEngine } from '../support/engines.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsModel } from '../support/fixtures.ts';

const CLIPS = ['alexa', 'amelia', 'athena', 'computer', 'jarvis', 'smart-mirror', 'snowboy', 'view-glass'];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A session with what it said, and its end. */
function open(manager: SessionManager, options: SessionOptions = {}) {
  const results: RecognitionResult[] = [];
  let end: (value: { reason: CloseReason; error?: unknown }) => void;
  const closed = new Promise<{ reason: CloseReason; error?: unknown }>((resolve) => (end = resolve));
  const session = manager.create({
    onResult: (result) => results.push(result),
    onClose: (reason, error) => end({ reason, error }),
    ...options,
  });
  return { session, results, closed };
}

describe.each(ENGINE_KINDS)('SessionManager on %s', (kind) => {
  let engine: Engine;
  let model: Model;
  let recognizer: OnlineRecognizer;
  let alone: Map<string, RecognitionResult>;

  beforeAll(async () => {
    engine = await openTestEngine(kind);
    model = openModel(await wakeWordsModel());
    recognizer = await OnlineRecognizer.create(engine, model, {
      maxStreams: 24,
      maxLanes: 5,
      chunkFrames: 8,
    });
    const manager = new SessionManager(recognizer);
    alone = new Map();
    for (const name of CLIPS) {
      const { session, results, closed } = open(manager);
      session.push(await sample(name));
      session.finish();
      expect(await closed).toEqual({ reason: 'finished', error: undefined });
      alone.set(name, results[results.length - 1]);
    }
  });
  afterAll(() => {
    recognizer.dispose();
    engine.dispose();
  });

  it('hears in a session alone what the recognizer hears', () => {
    expect([...alone].map(([, { text }]) => text)).toEqual(CLIPS.map((name) => name.replace('-', ' ')));
  });

  it('hears the same among others that come, pause and go, more of them than lanes', async () => {
    const manager = new SessionManager(recognizer);
    const next = randomSource(7);
    const random = (count: number) => Math.floor(((next() + 1) / 2) * count);
    const calls = Array.from({ length: 24 }, async (_, i) => {
      const name = CLIPS[i % CLIPS.length];
      const { samples, sampleRate } = await sample(name);
      await pause(random(200));
      const { session, results, closed } = open(manager);
      for (let at = 0; at < samples.length;) {
        const piece = 400 + random(8000);
        session.push({ samples: samples.subarray(at, at + piece), sampleRate });
        at += piece;
        await pause(random(20));
        // Some hang up in mid-word, and nobody else notices.
        if (i % 6 === 5 && at > samples.length / 2) {
          session.discard();
          expect((await closed).reason).toBe('discarded');
          return;
        }
      }
      session.finish();
      expect((await closed).reason).toBe('finished');
      expect(results[results.length - 1], name).toEqual(alone.get(name));
    });
    await Promise.all(calls);
    expect(manager.list()).toEqual([]);
  });

  it('lets the one that waits longest go first, so that a long backlog holds nobody up', async () => {
    const narrow = await OnlineRecognizer.create(engine, model, {
      maxStreams: 3,
      maxLanes: 1,
      chunkFrames: 4,
    });
    const manager = new SessionManager(narrow);
    const { samples, sampleRate } = await sample('alexa');
    const long = open(manager);
    const backlog = new Float32Array(25 * sampleRate);
    long.session.push({ samples: backlog, sampleRate });
    const short = [open(manager), open(manager)];
    for (const { session } of short) {
      session.push({ samples, sampleRate });
      session.finish();
    }
    await Promise.all(short.map(({ closed }) => closed));
    expect(short.map(({ results }) => results[results.length - 1].text)).toEqual(['alexa', 'alexa']);
    // Each of the three had a turn in three; the backlog is many turns longer.
    const { stats } = long.session;
    expect(stats.chunks).toBeGreaterThan(0);
    expect(stats.audioSeconds).toBeLessThan(5);
    narrow.dispose();
  });

  it('refuses a session beyond the limit, and takes one again when another has ended', async () => {
    const manager = new SessionManager(recognizer, { maxSessions: 2 });
    const [first] = [open(manager), open(manager)];
    expect(await failure('busy', () => manager.create())).toContain('session number 3; expected at most 2 at a time');
    first.session.discard();
    expect(manager.create().isOpen).toBe(true);
    expect(manager.list().map(({ id }) => id)).toEqual([2, 3]);
    manager.dispose();
    expect(manager.list()).toEqual([]);
  });

  it('tells of each session its backlog, its idle time and what it has cost', async () => {
    const manager = new SessionManager(recognizer);
    const { session, closed } = open(manager);
    session.push(await sample('computer'));
    expect(manager.list()[0]).toMatchObject({ id: 1, stats: { chunks: 0, audioSeconds: 0 } });
    expect(manager.list()[0].backlogSeconds).toBeGreaterThan(0.5);
    session.finish();
    await closed;
    const { stats, backlogSeconds } = session;
    expect(backlogSeconds).toBe(0);
    expect(stats.chunks).toBeGreaterThan(1);
    expect(stats.realTimeFactor).toBeGreaterThan(0);
    expect(manager.get(1)).toBeUndefined();
  });

  it('takes no more audio than a session may be ahead, and loses none', async () => {
    const manager = new SessionManager(recognizer, { maxBacklogSeconds: 1 });
    const { samples, sampleRate } = await sample('smart-mirror');
    const { session, results, closed } = open(manager);
    let refused = 0;
    for (let at = 0; at < samples.length;) {
      try {
        session.push({ samples: samples.subarray(at, at + 4000), sampleRate });
        at += 4000;
      } catch (error) {
        expect(error).toMatchObject({ code: 'busy' });
        refused++;
        await pause(10);
      }
    }
    session.finish();
    await closed;
    expect(refused).toBeGreaterThan(0);
    expect(results[results.length - 1]).toEqual(alone.get('smart-mirror'));
  });

  it('lets a source wait until there is room, so that nothing is refused', async () => {
    const manager = new SessionManager(recognizer, { maxBacklogSeconds: 1 });
    const { samples, sampleRate } = await sample('smart-mirror');
    const { session, results, closed } = open(manager);
    let most = 0;
    for (let at = 0; at < samples.length; at += 4000) {
      await session.ready();
      session.push({ samples: samples.subarray(at, at + 4000), sampleRate });
      most = Math.max(most, session.backlogSeconds);
    }
    session.finish();
    await closed;
    expect(most).toBeGreaterThan(0.5);
    expect(results[results.length - 1]).toEqual(alone.get('smart-mirror'));
    await failure('closed', () => session.ready());
  });

  it('lets a source wait until all that it pushed is decoded and told', async () => {
    const { samples, sampleRate } = await sample('computer');
    const { session, results, closed } = open(new SessionManager(recognizer));
    await session.settled();
    for (const at of [0, samples.length >> 1]) {
      session.push({ samples: samples.subarray(at, at + (samples.length >> 1)), sampleRate });
      await session.settled();
      // Less than a chunk of 8 frames is left.
      expect(session.backlogSeconds).toBeLessThan(8 * 0.04);
    }
    expect(results.at(-1)?.text).toMatch(/^comp/);
    session.discard();
    await closed;
    await failure('closed', () => session.settled());
  });

  it('tells who measures of each step, and nothing twice', async () => {
    const steps: SessionStep[] = [];
    const manager = new SessionManager(recognizer, { onStep: (step) => steps.push(step) });
    const waves = await Promise.all(['alexa', 'stream'].map(sample));
    const calls = waves.map((wave) => ({ ...open(manager), wave }));
    for (const { session, wave } of calls) {
      session.push(wave);
      session.finish();
    }
    await Promise.all(calls.map(({ closed }) => closed));
    const decoded = calls.reduce((sum, { session }) => sum + session.stats.audioSeconds, 0);
    // The last one is told of behind the sessions' end.
    await expect.poll(() => steps.reduce((sum, { audioSeconds }) => sum + audioSeconds, 0)).toBeCloseTo(decoded, 6);
    expect(new Set(steps.map(({ sessions }) => sessions))).toEqual(new Set([1, 2]));
    expect(Math.min(...steps.map(({ engineMs }) => engineMs))).toBeGreaterThan(0);
  });

  it('favours phrases in a search beside its own, over the same encoder', async () => {
    const beside = await recognizer.withSearch({ decodingMethod: 'modified_beam_search' });
    expect([beside.decodingMethod, recognizer.decodingMethod]).toEqual(['modified_beam_search', 'ctc_greedy']);
    const [favouring, plain] = [
      open(new SessionManager(beside), { hotwords: 'computer :4' }),
      open(new SessionManager(recognizer)),
    ];
    for (const { session } of [favouring, plain]) {
      session.push(await sample('computer'));
      session.finish();
    }
    await Promise.all([favouring, plain].map(({ closed }) => closed));
    expect(favouring.results.at(-1)?.text).toBe('computer');
    expect(plain.results.at(-1)).toEqual(alone.get('computer'));
  });

  it('tells who waits for room that the session has ended', async () => {
    const manager = new SessionManager(recognizer, { maxBacklogSeconds: 1 });
    const { session } = open(manager);
    session.push({ samples: new Float32Array(16000), sampleRate: 16000 });
    const waiting = failure('closed', () => session.ready());
    session.discard();
    expect(await waiting).toContain('discarded');
  });

  it('refuses a bare array in words that name what is expected', async () => {
    const { session } = open(new SessionManager(recognizer));
    const message = await failure('bad-audio', () => session.push(new Float32Array(4) as never));
    expect(message).toContain('got a Float32Array in place of a piece of audio; expected { samples, sampleRate }');
    session.discard();
  });

  it('hears a long call in segments, as the recognizer does', async () => {
    const audio = await sample('stream');
    const expected: RecognitionResult[] = [];
    for await (const result of recognizer.transcribe([audio])) {
      if (result.isFinal) {
        expected.push(result);
      }
    }
    expect(expected.length).toBeGreaterThan(3);
    const { session, results, closed } = open(new SessionManager(recognizer, { maxBacklogSeconds: 60 }));
    session.push(audio);
    session.finish();
    expect((await closed).reason).toBe('finished');
    expect(results.filter(({ isFinal }) => isFinal)).toEqual(expected);
    const partial = results.filter(({ isFinal }) => !isFinal);
    expect(partial.length).toBeGreaterThan(expected.length);
    // Nothing is told twice.
    for (let i = 1; i < results.length; i++) {
      expect(results[i]).not.toEqual(results[i - 1]);
    }
  });

  it('looks for idle sessions again when it has been empty', async () => {
    const manager = new SessionManager(recognizer, { idleSeconds: 0.1 });
    for (let i = 0; i < 2; i++) {
      expect((await open(manager).closed).reason).toBe('idle');
      expect(manager.list()).toEqual([]);
    }
  });

  it('closes a session that stays idle, and not one that goes on', async () => {
    const manager = new SessionManager(recognizer, { idleSeconds: 0.2 });
    const [idle, busy] = [open(manager), open(manager)];
    const { sampleRate } = await sample('alexa');
    let going = true;
    const feeding = (async () => {
      while (going) {
        busy.session.push({ samples: new Float32Array(160), sampleRate });
        await pause(20);
      }
    })();
    expect((await idle.closed).reason).toBe('idle');
    await pause(150);
    expect(busy.session.isOpen).toBe(true);
    going = false;
    await feeding;
    expect((await busy.closed).reason).toBe('idle');
    await failure('closed', () => idle.session.push({ samples: new Float32Array(1), sampleRate }));
  });

  it('tells what it has heard before it closes a session that stays idle', async () => {
    const manager = new SessionManager(recognizer, { idleSeconds: 0.2 });
    const { session, results, closed } = open(manager);
    session.push(await sample('computer'));
    expect((await closed).reason).toBe('idle');
    expect(results.at(-1)).toMatchObject({ text: expect.stringMatching(/^comp/) as string, isFinal: true });
  });

  it('ends a session whose handler throws, and no other', async () => {
    const manager = new SessionManager(recognizer);
    const broken = open(manager, {
      onResult: () => {
        throw new Error('mine');
      },
    });
    const other = open(manager);
    const clip = await sample('athena');
    for (const { session } of [broken, other]) {
      session.push(clip);
      session.finish();
    }
    const { reason, error } = await broken.closed;
    expect(reason).toBe('failed');
    expect(String(error)).toContain('mine');
    expect((await other.closed).reason).toBe('finished');
    expect(other.results[other.results.length - 1]).toEqual(alone.get('athena'));
  });

  it('ends a session whose handler fails later, and no other', async () => {
    const manager = new SessionManager(recognizer);
    const broken = open(manager, { onResult: () => Promise.reject(new Error('later')) });
    broken.session.push(await sample('athena'));
    const { reason, error } = await broken.closed;
    expect([reason, String(error)]).toEqual(['failed', expect.stringContaining('later')]);
  });

  it('takes no piece so long that its features would hold up the others', async () => {
    const manager = new SessionManager(recognizer);
    const { session, closed } = open(manager);
    const hour = { samples: new Float32Array(3600 * 100), sampleRate: 100 };
    expect(await failure('bad-argument', () => session.push(hour))).toContain('3600.0 s of audio in one piece');
    expect(session.backlogSeconds).toBe(0);
    session.push(await sample('alexa'));
    session.finish();
    expect((await closed).reason).toBe('finished');
  });

  it('ends a session whose own search fails, and no other', async () => {
    const manager = new SessionManager(recognizer);
    const [broken, other] = [open(manager), open(manager)];
    vi.spyOn(broken.session.stream, 'accept').mockImplementation(() => {
      throw new Error('a broken search');
    });
    const clip = await sample('athena');
    for (const { session } of [broken, other]) {
      session.push(clip);
      session.finish();
    }
    expect((await broken.closed).reason).toBe('failed');
    expect((await other.closed).reason).toBe('finished');
    expect(other.results[other.results.length - 1]).toEqual(alone.get('athena'));
  });

  it('goes on taking audio where the limit is below a chunk', async () => {
    const manager = new SessionManager(recognizer, { maxBacklogSeconds: 0.1 });
    const { session, results, closed } = open(manager);
    const { samples, sampleRate } = await sample('computer');
    for (let at = 0; at < samples.length;) {
      try {
        session.push({ samples: samples.subarray(at, at + 320), sampleRate });
        at += 320;
      } catch (error) {
        expect(error).toMatchObject({ code: 'busy' });
        await pause(1);
      }
    }
    session.finish();
    expect((await closed).reason).toBe('finished');
    expect(results[results.length - 1]).toEqual(alone.get('computer'));
  });

  it('is not idle while it decodes, however long ago the audio came', async () => {
    const manager = new SessionManager(recognizer, { idleSeconds: 0.3, maxBacklogSeconds: Infinity });
    const { session, closed } = open(manager);
    const { samples, sampleRate } = await sample('stream');
    session.push({ samples, sampleRate });
    while (manager.list()[0].backlogSeconds > 0.4) {
      await pause(5);
    }
    await pause(150);
    expect(session.isOpen).toBe(true);
    expect((await closed).reason).toBe('idle');
  });

  it('ends its sessions when the recognizer is disposed of', async () => {
    const own = await OnlineRecognizer.create(engine, model, { maxStreams: 2, chunkFrames: 4 });
    const manager = new SessionManager(own);
    const [idle, busy] = [open(manager), open(manager)];
    busy.session.push(await sample('alexa'));
    await pause(5);
    own.dispose();
    for (const { closed } of [idle, busy]) {
      expect(await closed).toMatchObject({ reason: 'failed', error: { code: 'closed' } });
    }
    expect(manager.list()).toEqual([]);
  });

  it('counts the time of a step once, also when the next is submitted before', async () => {
    const own = await OnlineRecognizer.create(engine, model, { maxStreams: 1, chunkFrames: 4 });
    const manager = new SessionManager(own, { maxBacklogSeconds: Infinity });
    const { session, closed } = open(manager);
    const start = performance.now();
    session.push(await sample('stream'));
    session.finish();
    await closed;
    const { computeMs, readbackMs } = session.stats;
    expect(computeMs + readbackMs).toBeLessThanOrEqual(performance.now() - start);
    own.dispose();
  });

  it('refuses bad audio from one session and goes on with it', async () => {
    const manager = new SessionManager(recognizer);
    const { session, results, closed } = open(manager);
    const clip = await sample('jarvis');
    await failure('bad-audio', () => session.push({ samples: Float32Array.of(NaN), sampleRate: clip.sampleRate }));
    session.push(clip);
    session.finish();
    await closed;
    expect(results[results.length - 1]).toEqual(alone.get('jarvis'));
  });

  it('tells every session when the device is lost', async () => {
    const lost = await createNodeContext();
    const gpu = new WebGpuEngine(lost, { kernels: { convolutions: 'plain', matrices: 'plain' } });
    const own = await OnlineRecognizer.create(gpu, model, { maxStreams: 2, chunkFrames: 4 });
    const manager = new SessionManager(own);
    const [a, b] = [open(manager), open(manager)];
    lost.device.destroy();
    await lost.device.lost;
    const clip = await sample('alexa');
    a.session.push(clip);
    b.session.push(clip);
    for (const { closed } of [a, b]) {
      expect(await closed).toMatchObject({ reason: 'failed', error: { code: 'device-lost' } });
    }
    expect(manager.list()).toEqual([]);
  });

  it.each([{ maxSessions: 0 }, { maxSessions: 25 }, { idleSeconds: 0 }, { maxBacklogSeconds: -1 }])(
    'refuses %j',
    async (options) => {
      await failure('bad-argument', () => new SessionManager(recognizer, options));
    },
  );
});
