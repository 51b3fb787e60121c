import { describe, expect, it } from 'vitest';
import { saidPhrases, scoreKeywords, type KeywordSearch } from '../../tools/keyword-evaluation.ts';

const recording = (text: string, seconds = 3600) => ({ audio: text, text, seconds, outputs: {} });
const keywords = ['smart', 'smart mirror'].map((phrase) => ({ phrase, tokens: [], threshold: 0.3 }));

describe('keywords over a list', () => {
  it('are said where the longest phrase is', () => {
    const said = (text: string) => [...saidPhrases(text, ['smart', 'Smart Mirror', 'mirror smart'])];
    expect(said('SMART mirror smart')).toEqual(
      expect.arrayContaining([
        ['smart', 1],
        ['Smart Mirror', 1],
        ['mirror smart', 0],
      ]),
    );
    expect(said('')).toEqual(expect.arrayContaining([['smart', 0]]));
  });

  it('are counted alone and together: missed, heard at other phrases, heard at other speech', async () => {
    const recordings = [recording('smart mirror'), recording('smart smart'), recording('a word', 1800)];
    const heard: Record<string, string[]> = {
      'smart mirror': ['smart', 'smart mirror', 'smart mirror'],
      'smart smart': ['smart'],
      'a word': ['smart mirror'],
    };
    const search: KeywordSearch = (wanted, _, { audio }) =>
      heard[audio].filter((each) => wanted.some(({ phrase }) => phrase === each));
    const alone = await scoreKeywords(['any', search], 'alone', keywords, null, recordings);
    // Alone, the short phrase is said in the long one, too.
    expect(alone).toMatchObject({ said: 4, missed: 1, confused: 1, falseAlarms: 1, hours: 5, falseAlarmsPerHour: 0.4 });
    const together = await scoreKeywords(['any', search], 'together', keywords, null, recordings);
    expect(together).toMatchObject({ said: 3, missed: 1, confused: 2, falseAlarms: 1, hours: 2.5 });
  });

  it('have the threshold that is tried, or their own', async () => {
    const seen: unknown[] = [];
    const search: KeywordSearch = ([{ threshold }], asked) => {
      seen.push([threshold, asked]);
      return [];
    };
    const one = keywords.slice(0, 1);
    await scoreKeywords(['any', search], 'together', one, null, [recording('')]);
    await scoreKeywords(['any', search], 'together', one, 0.7, [recording('')]);
    expect(seen).toEqual([
      [0.3, undefined],
      [undefined, 0.7],
    ]);
  });
});
