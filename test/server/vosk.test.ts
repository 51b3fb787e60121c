import { beforeEach, describe, expect, it } from 'vitest';
import { TokenTable } from '../../src/model/tokens.ts';
import { hotwordsOf } from '../../src/server/vosk-phrases.ts';
import { VoskDialogue } from '../../src/server/vosk.ts';
import { failure } from '../support/failure.ts';
import { FakeLine, said } from '../support/line.ts';

const piece = (samples = 80) => new Uint8Array(2 * samples);

let line: FakeLine;
let dialogue: VoskDialogue;
beforeEach(() => {
  line = new FakeLine();
  dialogue = new VoskDialogue(line, (phrases) => phrases.join('\n'));
});

const word = (text: string, start: number, end: number) => ({ conf: 0.5, end, start, word: text });

describe('vosk’s protocol', () => {
  it('takes 16 bits at 8 kHz where the client does not say, and as it says', async () => {
    await dialogue.hear(new Uint8Array(Int16Array.of(16384, -32768).buffer));
    const other = new VoskDialogue(line, () => '');
    await other.hear('{ "config" : { "sample_rate" : 16000.0 } }');
    await other.hear(piece(1));
    expect(line.calls.map(({ pushed }) => pushed)).toEqual([
      [{ samples: Float32Array.of(0.5, -1), sampleRate: 8000 }],
      [{ samples: Float32Array.of(0), sampleRate: 16_000 }],
    ]);
  });

  it('answers each binary message once, a config never', async () => {
    await dialogue.hear('{"config": {"words": true}}');
    expect(line.sent).toEqual([]);
    await dialogue.hear(piece());
    const [call] = line.calls;
    call.hear(said('al'));
    await dialogue.hear(piece(0));
    call.hear(said('alexa', { isFinal: true }));
    await dialogue.hear(piece());
    await dialogue.hear(piece());
    expect(line.messages).toEqual([
      { partial: '' },
      { partial: 'al' },
      { result: [word('alexa', 0.04, 0.2)], text: 'alexa' },
      { partial: '' },
    ]);
  });

  it('answers when what was sent is decoded, not before', async () => {
    await dialogue.hear(piece());
    let settle: () => void = () => undefined;
    line.calls[0].settling = new Promise((resolve) => (settle = resolve));
    const answered = dialogue.hear(piece());
    await new Promise(setImmediate);
    expect(line.sent).toHaveLength(1);
    line.calls[0].hear(said('so'));
    settle();
    await answered;
    expect(line.messages.at(-1)).toEqual({ partial: 'so' });
  });

  it('tells one utterance a message, and at the end all that are left in one', async () => {
    await dialogue.hear(piece());
    const [call] = line.calls;
    ['one', 'two', 'three'].forEach((text, segment) => {
      call.hear(said(text, { isFinal: true, segment, startTime: segment }));
    });
    await dialogue.hear(piece());
    const ending = dialogue.hear('{"eof" : 1}');
    expect(call.isFinished).toBe(true);
    call.hear(said('four', { isFinal: true, segment: 3, startTime: 3 }));
    call.end('finished');
    await ending;
    expect(line.messages.slice(1)).toMatchObject([
      { text: 'one' },
      { text: 'two three four', result: [{ word: 'two' }, { word: 'three' }, { word: 'four', start: 3.04 }] },
    ]);
    expect(line.closed?.code).toBe(1000);
  });

  it('finalises at a reset and goes on: times count from the start of the connection', async () => {
    await dialogue.hear(piece(8000));
    const resetting = dialogue.hear('{"reset" : 1}');
    line.calls[0].hear(said('one', { isFinal: true }));
    line.calls[0].end('finished');
    await resetting;
    await dialogue.hear(piece(8000));
    line.calls[1].hear(said('two', { isFinal: true }));
    await dialogue.hear(piece());
    expect(line.messages).toEqual([
      { partial: '' },
      { result: [word('one', 0.04, 0.12)], text: 'one' },
      { partial: '' },
      { result: [word('two', 1.04, 1.12)], text: 'two' },
    ]);
    expect(line.closed).toBeUndefined();
  });

  it('leaves words out, and lists alternatives, as it is told', async () => {
    await dialogue.hear('{"config": {"words": false}}');
    await dialogue.hear(piece());
    line.calls[0].hear(said('a', { isFinal: true }));
    await dialogue.hear(piece());
    await dialogue.hear('{"config": {"words": 1, "max_alternatives": 3}}');
    line.calls[0].hear(said('b', { isFinal: true }));
    await dialogue.hear(piece());
    expect(line.messages.slice(1)).toEqual([
      { text: 'a' },
      { alternatives: [{ confidence: 0.5, result: [word('b', 0.04, 0.04)], text: 'b' }] },
    ]);
  });

  it('answers the end where nothing was sent', async () => {
    await dialogue.hear('{"eof":1}');
    expect(line.messages).toEqual([{ text: '' }]);
  });

  it('makes a phrase list hotwords', async () => {
    await dialogue.hear('{"config": {"phrase_list": ["view glass", "alexa"]}}');
    await dialogue.hear(piece());
    expect(line.calls[0].options.hotwords).toBe('view glass\nalexa');
  });

  it.each([
    'hello',
    '[]',
    '{"other": 1}',
    '{"config": 3}',
    '{"config": {"sample_rate": "fast"}}',
    '{"config": {"phrase_list": [1]}}',
  ])('refuses the text %s', async (text) => {
    expect(await failure('bad-argument', () => dialogue.hear(text))).toContain('phrase_list');
  });

  it('fails the line with the call, and gives up the call with the line', async () => {
    await dialogue.hear(piece());
    dialogue.hangUp();
    expect(line.calls[0].isDiscarded).toBe(true);
  });
});

describe('a phrase list', () => {
  it('is spelled with the model’s tokens; what they cannot spell is left out', () => {
    const tokens = TokenTable.parse('<blk> 0\na 1\nb 2\nb▁ 3\n: 4\n');
    expect(hotwordsOf(['ab', '[unk]', '', 'A', 'x'.repeat(1000)], tokens).split('\n')).toHaveLength(2);
  });
});
