import { expect, it } from 'vitest';
import { plainWords } from '../../demo/keyword-line.ts';
import { formatTranscript } from '../../demo/transcript.ts';

it('shows a line of a keyword file in plain words', () => {
  expect(plainWords('s m a r t ▁ m i r r o r ▁ @smart_mirror')).toBe('smart mirror');
  expect(plainWords('▁HE LL O ▁WORLD :2.0 #0.35')).toBe('HELLO WORLD');
  expect(plainWords('x iǎo ài :1.5 @小爱 #0.2')).toBe('小爱');
  expect(plainWords('smart mirror #0.5')).toBe('smart mirror');
  expect(plainWords('')).toBe('');
});

it('writes a transcript as text, as subtitles that part at pauses, and as JSON with all times', () => {
  const word = (text: string, start: number, end: number) => ({ word: text, start, end });
  const keyword = { keyword: 'view glass', start: 2, end: 2.9, score: 0.9 };
  const segments = [
    { text: 'alexa', words: [word('alexa', 0.5, 1)], keywords: [], tokens: [7] },
    { text: 'view glass', words: [word('view', 2, 2.3), word('glass', 3661.5, 3662.75)], keywords: [keyword] },
  ];
  expect(formatTranscript('txt', segments)).toBe('alexa\nview glass\n');
  expect(formatTranscript('srt', segments)).toBe(
    [
      '1\n00:00:00,500 --> 00:00:01,500\nalexa\n',
      '2\n00:00:02,000 --> 00:00:03,000\nview\n',
      '3\n01:01:01,500 --> 01:01:02,750\nglass\n',
    ].join('\n'),
  );
  const [first, second] = segments;
  expect(JSON.parse(formatTranscript('json', segments))).toEqual([{ ...first, tokens: undefined }, second]);
});
