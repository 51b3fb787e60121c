import { describe, expect, it } from 'vitest';
import type { RecognitionResult } from '../../src/recognizer/results.ts';
import { TranscriptBuilder, type Segment, type Transcript } from '../../src/recognizer/transcript.ts';
import { formatTranscript } from '../../src/recognizer/transcript-formats.ts';

const word = (text: string, start: number, end: number) => ({ word: text, start, end });

/** A segment of words that follow one another, half a second each. */
function segment(text: string, start: number, seconds = 0.5): Segment {
  const words = text.split(' ').map((each, i) => word(each, start + i * seconds, start + (i + 0.8) * seconds));
  return { text, start, end: words[words.length - 1].end, words };
}

const transcript = (...segments: Segment[]): Transcript => ({
  text: segments.map(({ text }) => text).join(' '),
  tokens: [1, 2],
  timestamps: [0.04, 0.08],
  probabilities: [0.5, 1],
  words: segments.flatMap(({ words }) => words),
  keywords: [],
  segments,
});

describe('a transcript', () => {
  const said = transcript(segment('view glass', 1), segment('computer', 3661.5));

  it('as text: a line for each segment', () => {
    expect(formatTranscript('txt', 'a.wav', said)).toBe('view glass\ncomputer\n');
  });

  it('as JSON: one line with words, segments and the probability of each token', () => {
    const line = formatTranscript('json', 'a.wav', said);
    expect(line.match(/\n/g)).toHaveLength(1);
    expect(JSON.parse(line)).toEqual({
      audio: 'a.wav',
      text: 'view glass computer',
      tokens: [1, 2],
      timestamps: [0.04, 0.08],
      probabilities: [0.5, 1],
      words: said.words,
      segments: [
        { text: 'view glass', start: 1, end: 1.9 },
        { text: 'computer', start: 3661.5, end: 3661.9 },
      ],
    });
  });

  it('as SubRip', () => {
    expect(formatTranscript('srt', 'a.wav', said)).toBe(
      '1\n00:00:01,000 --> 00:00:02,000\nview glass\n\n2\n01:01:01,500 --> 01:01:02,500\ncomputer\n',
    );
  });

  it('as WebVTT, where < and & are letters', () => {
    expect(formatTranscript('vtt', 'a.wav', transcript(segment('<b> & c', 0)))).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.400\n&lt;b&gt; &amp; c\n',
    );
  });

  it.each([
    ['txt', ''],
    ['srt', ''],
    ['vtt', 'WEBVTT\n'],
  ] as const)('in which nothing was said, as %s', (format, expected) => {
    expect(formatTranscript(format, 'a.wav', transcript())).toBe(expected);
  });
});

describe('subtitles', () => {
  const cues = (...segments: Segment[]) =>
    formatTranscript('srt', 'a.wav', transcript(...segments))
      .trim()
      .split('\n\n')
      .map((cue) => cue.split('\n').slice(1));

  it('are of two lines of 42 characters at most', () => {
    const [first, second] = cues(segment(Array(20).fill('abcdefghi').join(' '), 0, 0.1));
    expect(first).toHaveLength(3);
    expect(first.slice(1).every((line) => line.length <= 42)).toBe(true);
    expect(first[0]).toBe('00:00:00,000 --> 00:00:00,800');
    expect(second[0]).toMatch(/^00:00:00,800 --> /);
  });

  it('last six seconds at most', () => {
    expect(cues(segment('a b c d e f g h i', 0, 1)).map(([times]) => times)).toEqual([
      '00:00:00,000 --> 00:00:05,800',
      '00:00:06,000 --> 00:00:08,800',
    ]);
  });

  it('begin anew behind a pause, and stay for a second unless the next one comes', () => {
    const { words } = segment('a b', 0, 1.9);
    expect(cues({ text: 'a b', start: 0, end: 4, words }).map(([times]) => times)).toHaveLength(1);
    const apart = [word('a', 0, 0.1), word('b', 1.2, 1.3), word('c', 2.35, 2.4)];
    expect(cues({ text: 'a b c', start: 0, end: 3, words: apart }).map(([times]) => times)).toEqual([
      '00:00:00,000 --> 00:00:01,000',
      '00:00:01,200 --> 00:00:02,200',
      '00:00:02,350 --> 00:00:03,350',
    ]);
  });

  it('end where those of the next segment begin', () => {
    expect(cues(segment('a', 0), segment('b', 0.6)).map(([times]) => times)).toEqual([
      '00:00:00,000 --> 00:00:00,600',
      '00:00:00,600 --> 00:00:01,600',
    ]);
  });

  it('show no letters that a terminal would take for commands, and Chinese without spaces', () => {
    const words = [word('\x1b', 0, 0.1), word('你', 0.2, 0.3), word('好', 0.3, 0.4)];
    expect(cues({ text: '', start: 0, end: 1, words })[0][1]).toBe('\\u001b 你好');
  });
});

describe('TranscriptBuilder', () => {
  const result = (text: string, isFinal: boolean, start = 0): RecognitionResult => {
    const words = text === '' ? [] : segment(text, start).words;
    const timestamps = words.map(({ start: at }) => at);
    return {
      text,
      tokens: words.map((_, i) => i + 1),
      timestamps,
      tokenLogProbs: words.map(() => Math.log(0.5)),
      logProb: -1,
      words,
      keywords: words.map((each) => ({ keyword: each.word, start: each.start, end: each.end, score: 1 })),
      segment: 0,
      startTime: start,
      isFinal,
    };
  };
  const told = ({ words, keywords }: ReturnType<TranscriptBuilder['accept']>) =>
    [words.map((each) => each.word), keywords.map(({ keyword }) => keyword)].map((names) => names.join(' '));

  it('tells each word and keyword once, and keeps closed segments', () => {
    const builder = new TranscriptBuilder();
    expect(told(builder.accept(result('a', false)))).toEqual(['a', 'a']);
    expect(told(builder.accept(result('a b', false)))).toEqual(['b', 'b']);
    expect(told(builder.accept(result('a b c', true)))).toEqual(['c', 'c']);
    expect(told(builder.accept(result('d', true, 9)))).toEqual(['d', 'd']);
    const { text, tokens, timestamps, probabilities, words, keywords, segments } = builder.transcript;
    expect(text).toBe('a b c d');
    expect(tokens).toEqual([1, 2, 3, 1]);
    expect(timestamps).toEqual([0, 0.5, 1, 9]);
    expect(probabilities).toEqual(Array(4).fill(expect.closeTo(0.5, 9)));
    expect([words.length, keywords.length]).toEqual([4, 4]);
    expect(segments.map(({ text: said, start, end }) => [said, start, end])).toEqual([
      ['a b c', 0, 1],
      ['d', 9, 9],
    ]);
  });

  it('has no segment where nothing was said', () => {
    const builder = new TranscriptBuilder();
    builder.accept(result('', true));
    expect(builder.transcript).toMatchObject({ text: '', segments: [] });
  });

  it('joins Chinese without spaces', () => {
    const builder = new TranscriptBuilder();
    builder.accept(result('你好', true));
    builder.accept(result('世界', true, 5));
    expect(builder.transcript.text).toBe('你好世界');
  });
});
