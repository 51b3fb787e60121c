import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openModel } from '../../../src/model/model.ts';
import { OnlineRecognizer } from '../../../src/recognizer/recognizer.ts';
import { SessionManager } from '../../../src/recognizer/sessions.ts';
import { DurableCalls } from '../../../src/server/durable/calls.ts';
import { MemoryCallStore } from '../../../src/server/durable/store.ts';
import { DurableDialogue, LOST, TAKEN_OVER, type NamedCall } from '../../../src/server/durable-dialogue.ts';
import { sherpaMessage } from '../../../src/server/sherpa-message.ts';
import { WasmEngine } from '../../../src/wasm/engine.ts';
import type { Waveform } from '../../../src/waveform/waveform.ts';
import { failure } from '../../support/failure.ts';
import { sample, wakeWordsModel } from '../../support/fixtures.ts';
import { FakeLine } from '../../support/line.ts';
import { floatBytes } from '../../support/server.ts';

interface Numbered {
  number: number;
  text: string;
  is_final: boolean;
}

const LIMITS = { canMove: true, maxSeconds: 60 };

describe('sherpa-onnx’s protocol for a call that has a name', () => {
  const engine = new WasmEngine();
  let recognizer: OnlineRecognizer;
  let symbols: readonly string[];
  let audio: Waveform;
  let unbroken: object[];
  let calls: DurableCalls;

  beforeAll(async () => {
    const model = openModel(await wakeWordsModel());
    symbols = model.tokens?.symbols ?? [];
    recognizer = await OnlineRecognizer.create(engine, model, { maxStreams: 4, chunkFrames: 4 });
    audio = await sample('smart-mirror');
    unbroken = [];
    for await (const result of recognizer.transcribe([audio])) {
      unbroken.push({ ...sherpaMessage(result, { symbols }, false), number: unbroken.length + 1 });
    }
  });
  afterAll(() => {
    recognizer.dispose();
    engine.dispose();
  });
  beforeEach(() => {
    // No save but those at the end of a connection.
    calls = new DurableCalls(new SessionManager(recognizer), new MemoryCallStore(), { saveSeconds: 3600 });
  });

  /** A connection: its line, and the server's side of it. */
  async function connect(named: Partial<NamedCall> = {}, limits = LIMITS) {
    const line = new FakeLine();
    line.resume = (options) => calls.open(options);
    const call = { id: 'call', heard: 0, sampleRate: audio.sampleRate, format: 'f32le' as const, ...named };
    const dialogue = new DurableDialogue(line, { symbols }, call, limits);
    await vi.waitFor(() => {
      expect(line.failure ?? acknowledged(line)[0]).toBeDefined();
    });
    return { line, dialogue };
  }

  const acknowledged = ({ messages }: FakeLine) =>
    messages.flatMap((message) =>
      typeof message === 'object' && message !== null && 'acknowledged' in message ? [message.acknowledged] : [],
    );
  const results = ({ messages }: FakeLine) =>
    messages.filter(
      (message): message is Numbered => typeof message === 'object' && message !== null && 'number' in message,
    );
  const samples = (from: number, to = audio.samples.length) => floatBytes(audio.samples.subarray(from, to));
  const ended = ({ sent }: FakeLine) =>
    vi.waitFor(() => {
      expect(sent.at(-1)).toBe('Done!');
    });
  const closed = (line: FakeLine) =>
    vi.waitFor(() => {
      expect(line.closed).toBeDefined();
      return line.closed?.code;
    });

  it('says where to begin, numbers its results, and ends when the client has them', async () => {
    const { line, dialogue } = await connect();
    expect(line.messages).toEqual([{ acknowledged: 0 }]);
    // In the middle of a sample, too.
    await dialogue.hear(samples(0).subarray(0, 10_001));
    await dialogue.hear(samples(0).subarray(10_001));
    await dialogue.hear('Done');
    await ended(line);
    expect(results(line)).toEqual(unbroken);
    expect(acknowledged(line).at(-1)).toBe(audio.samples.length);
    expect(line.closed).toBeUndefined();
    await dialogue.hear(`{"heard": ${unbroken.length}}`);
    expect(line.closed).toEqual({ code: 1000, reason: 'done' });
    // That it is over is kept, for who has lost the last message.
    const again = await connect({ heard: unbroken.length });
    await ended(again.line);
    expect(again.line.messages).toEqual([{ acknowledged: audio.samples.length }, 'Done!']);
    expect(await closed(again.line)).toBe(1000);
  });

  it('goes on in another connection, with all results told once', async () => {
    const half = audio.samples.length >> 1;
    const first = await connect();
    await first.dialogue.hear(samples(0, half));
    await first.dialogue.hangUp();
    expect(await closed(first.line)).toBe(1012);
    const told = results(first.line);
    const second = await connect({ heard: told.at(-1)?.number ?? 0 });
    expect(acknowledged(second.line)).toEqual([half]);
    await second.dialogue.hear(samples(half));
    await second.dialogue.hear('Done');
    await ended(second.line);
    expect([...told, ...results(second.line)]).toEqual(unbroken);
  });

  it('tells the last results of a call that is over to who comes back for them, then where it ended', async () => {
    const first = await connect();
    await first.dialogue.hear(samples(0));
    await first.dialogue.hear('Done');
    await ended(first.line);
    await first.dialogue.hangUp();
    const { line, dialogue } = await connect();
    await ended(line);
    expect(results(line)).toEqual(unbroken.slice(-results(line).length));
    expect(line.messages.slice(-2)).toEqual([{ acknowledged: audio.samples.length }, 'Done!']);
    // Said again by a client that does not know that it was heard.
    await dialogue.hear(samples(0));
    await dialogue.hear('Done');
    expect(line.failure).toBeUndefined();
  });

  it('leaves the call to another connection', async () => {
    const first = await connect();
    await first.dialogue.hear(samples(0, 8000));
    const second = await connect();
    expect(first.line.closed?.code).toBe(TAKEN_OVER);
    await first.dialogue.hear(samples(8000));
    expect(acknowledged(second.line)).toEqual([8000]);
  });

  it('refuses what no client sends, and a call that is too long', async () => {
    const { dialogue } = await connect({}, { ...LIMITS, maxSeconds: 1 });
    for (const text of ['hello', '{"heard": "all"}', '{"heard": -1}', '{}']) {
      expect(await failure('bad-argument', () => dialogue.hear(text))).toContain('heard');
    }
    expect(await failure('bad-argument', () => dialogue.hear(samples(0)))).toContain('1 s of audio');
  });

  it('tells a client that its call is lost', async () => {
    const line = new FakeLine();
    line.resume = (options) => calls.open(options);
    const call = { id: 'gone', heard: 7, sampleRate: audio.sampleRate, format: 'f32le' as const };
    new DurableDialogue(line, { symbols }, call, LIMITS);
    expect(await closed(line)).toBe(LOST);
    expect(line.closed?.reason).toContain('Begin another call');
  });

  it('fails where the call cannot be had', async () => {
    await calls.drain();
    const { line, dialogue } = await connect();
    expect(line.failure).toMatchObject({ code: 'busy' });
    await dialogue.hear(samples(0));
    await dialogue.conclude();
    await dialogue.hangUp();
    expect(line.messages).toEqual([]);
  });

  it('is let go when the server ends and others can go on', async () => {
    const { line, dialogue } = await connect();
    await dialogue.hear(samples(0, 8000));
    await dialogue.conclude();
    expect(await closed(line)).toBe(1012);
    expect(acknowledged(line)).toEqual([0, 8000]);
  });

  it('is told to its end when the server ends and nobody can go on', async () => {
    const { line, dialogue } = await connect({}, { ...LIMITS, canMove: false });
    await dialogue.hear(samples(0));
    await dialogue.conclude();
    expect(results(line)).toEqual(unbroken);
    expect(line.sent).not.toContain('Done!');
  });
});
