import { beforeEach, describe, expect, it } from 'vitest';
import { sentAudio } from '../../src/server/sent-audio.ts';
import { SherpaDialogue } from '../../src/server/sherpa.ts';
import { failure } from '../support/failure.ts';
import { FakeLine, said } from '../support/line.ts';

const symbols = Array.from({ length: 128 }, (_, id) => (id === 95 ? '▁' : String.fromCharCode(id)));
const MODEL_RATE = 16_000;

let line: FakeLine;
const speak = (query = '') => new SherpaDialogue(line, { symbols }, sentAudio(new URLSearchParams(query), MODEL_RATE));
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const shorts = (...values: number[]) => new Uint8Array(Int16Array.from(values).buffer);

beforeEach(() => {
  line = new FakeLine();
});

describe('sherpa-onnx’s protocol', () => {
  it('takes float32 at the model’s rate without a word before, also where a message ends within a sample', async () => {
    const dialogue = speak();
    const bytes = floats(0.5, -0.25, 1);
    await dialogue.hear(bytes.subarray(0, 6));
    await dialogue.hear(bytes.subarray(6));
    const [{ pushed }] = line.calls;
    expect(pushed.flatMap(({ samples }) => [...samples])).toEqual([0.5, -0.25, 1]);
    expect(new Set(pushed.map(({ sampleRate }) => sampleRate))).toEqual(new Set([MODEL_RATE]));
  });

  it('takes another rate and whole numbers as the address says, or the first text', async () => {
    const byQuery = speak('sample_rate=8000&format=s16le');
    await byQuery.hear(shorts(16384, -32768));
    const byText = speak();
    await byText.hear('{"sample_rate": 48000, "format": "s16le"}');
    await byText.hear(shorts(16384, -32768));
    expect(line.calls.map(({ pushed }) => pushed)).toEqual(
      [8000, 48_000].map((sampleRate) => [{ samples: Float32Array.of(0.5, -1), sampleRate }]),
    );
  });

  it('refuses a rate or a format that is none, and takes texts that are no JSON for nothing', async () => {
    await failure('bad-argument', () => speak('sample_rate=fast'));
    await failure('bad-argument', () => speak('format=mp3'));
    const dialogue = speak();
    await failure('bad-argument', () => dialogue.hear('{"sample_rate": "fast"}'));
    await dialogue.hear('hello');
    await dialogue.hear('[1');
    expect(line.sent).toEqual([]);
  });

  it('answers a change with JSON, times of tokens counted from the start of the segment', async () => {
    await speak().hear(floats(0));
    line.calls[0].hear(said('a_', { segment: 2, startTime: 10 }));
    expect(line.messages).toEqual([
      {
        text: 'a_',
        tokens: ['a', ' '],
        timestamps: [0.04, 0.08],
        ys_probs: [Math.log(0.5), Math.log(0.5)],
        segment: 2,
        words: [{ word: 'a_', start: 10.04, end: 10.08 }],
        start_time: 10,
        is_final: false,
        is_eof: false,
      },
    ]);
  });

  it('ends with the last result marked, then Done!, also where the last segment had ended before', async () => {
    const dialogue = speak();
    await dialogue.hear(floats(0));
    const [call] = line.calls;
    call.hear(said('a', { isFinal: true }));
    await dialogue.hear('Done');
    expect(call.isFinished).toBe(true);
    call.hear(said('b', { isFinal: true, segment: 1 }));
    call.hear(said('c', { isFinal: true, segment: 2 }));
    call.end('finished');
    const told = line.messages.map((message) =>
      typeof message === 'string'
        ? message
        : Object.values(message as { text: string; is_final: boolean; is_eof: boolean }),
    );
    expect(told.map((each) => (typeof each === 'string' ? each : [each[0], each[7], each[8]]))).toEqual([
      ['a', true, false],
      ['b', true, false],
      ['c', true, true],
      'Done!',
    ]);
    expect(line.closed?.code).toBe(1000);
    await dialogue.hear(floats(1));
    expect(call.pushed).toHaveLength(1);
  });

  it.each([
    ['nothing was sent', false],
    ['nothing was heard', true],
  ])('ends with an empty result where %s', async (_, sends) => {
    const dialogue = speak();
    if (sends) {
      await dialogue.hear(floats(0));
    }
    await dialogue.hear('Done');
    line.calls.forEach((call) => {
      call.end('finished');
    });
    expect(line.messages).toMatchObject([{ text: '', tokens: [], is_final: true, is_eof: true }, 'Done!']);
  });

  it('tells what was heard when the server goes, and does not call it the end', async () => {
    const dialogue = speak();
    await dialogue.hear(floats(0));
    const [call] = line.calls;
    const concluding = dialogue.conclude();
    expect(call.isFinished).toBe(true);
    call.hear(said('a', { isFinal: true }));
    call.end('finished');
    await concluding;
    expect(line.messages).toMatchObject([{ text: 'a', is_final: true, is_eof: false }]);
  });

  it('gives the call up with the client, and the line with the call', async () => {
    const dialogue = speak();
    await dialogue.hear(floats(0));
    const [call] = line.calls;
    call.end('idle');
    expect(line.closed?.code).toBe(1000);
    dialogue.hangUp();
    expect(call.isDiscarded).toBe(true);
  });
});
