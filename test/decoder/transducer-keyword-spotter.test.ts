import { describe, expect, it } from 'vitest';
import type { Keyword, SpotterOptions } from '../../src/decoder/keywords.ts';
import { TransducerKeywordSpotter } from '../../src/decoder/transducer-keyword-spotter.ts';
import { likeliest, plainJoiner } from '../support/joiner.ts';

const VOCAB_SIZE = 5;
const UNK = 4;

/** The keyword of tokens 1 and 2. */
const keyword: Keyword = { phrase: 'one two', tokens: [1, 2] };

const options: SpotterOptions = { vocabSize: VOCAB_SIZE, blankId: 0 };

type Frames = readonly (number | readonly [number, number])[];

/** Frames of [token, probability], or of a token alone, which is nearly certain. */
const certain = (frames: Frames) =>
  likeliest(
    VOCAB_SIZE,
    frames.map((frame) => (typeof frame === 'number' ? [frame, 0.99] : frame)),
  );

/** What is heard in frames of [token, probability], or of a token alone, which is nearly certain. */
function hear(frames: Frames, changes: Partial<SpotterOptions> = {}, own: Partial<Keyword> = {}) {
  const decoder = new TransducerKeywordSpotter(plainJoiner(VOCAB_SIZE), [{ ...keyword, ...own }], {
    ...options,
    ...changes,
  });
  decoder.accept(certain(frames));
  return decoder.takeHits();
}

const blanks = (count: number) => Array<number>(count).fill(0);

describe('TransducerKeywordSpotter', () => {
  it('fires once, when more blanks have followed than must', () => {
    expect(hear([0, 1, 2, 0])).toEqual([]);
    expect(hear([0, 1, 2, 0, 0, 0, 0])).toMatchObject([{ keyword: 'one two', startFrame: 1, endFrame: 2 }]);
    expect(hear([0, 1, 2, 0], { numTrailingBlanks: 0 })).toHaveLength(1);
    expect(hear([0, 1, 2, 0, 0, 0], { numTrailingBlanks: 3 })).toEqual([]);
  });

  /** A first token that another is likelier than; the bonus makes up for it. */
  const unsure = [[3, 0.5] as const, 2, 0, 0];
  /** What that token has, of what the likelier one has. */
  const ratio = (1 - 0.5) / (VOCAB_SIZE - 1) / 0.5;
  const favoured = { keywordsScore: 4 };

  it('scores by the ratio to the best path without bonuses, over the same frames', () => {
    expect(hear([1, 2, 0, 0])[0].score).toBe(1);
    const [hit] = hear(unsure, { ...favoured, keywordsThreshold: 0 });
    expect(hit.score).toBeCloseTo(ratio, 3);
    // What was said before does not count.
    const behind = [3, 3, 3, 0, ...unsure];
    expect(hear(behind, { ...favoured, keywordsThreshold: 0 })[0].score).toBeCloseTo(ratio, 3);
  });

  it('wants the score of a half, of the option, or of the line', () => {
    expect(hear(unsure, favoured)).toEqual([]);
    const likelier = [[3, 0.24] as const, 2, 0, 0];
    expect(0.19 / 0.24).toBeGreaterThan(0.5);
    expect(hear(likelier, favoured)).toHaveLength(1);
    expect(hear(likelier, { ...favoured, keywordsThreshold: 0.9 })).toEqual([]);
    expect(hear(unsure, { ...favoured, keywordsThreshold: ratio - 0.01 })).toHaveLength(1);
    expect(hear(unsure, favoured, { threshold: ratio - 0.01 })).toHaveLength(1);
    expect(hear(unsure, favoured, { threshold: ratio + 0.01 })).toEqual([]);
  });

  it('believes what the plain search hears, too, though the bonus has made the keyword hurry', () => {
    // Of two paths the bonus prefers the one that takes the second token at once; the plain search takes it a frame later.
    const decoder = new TransducerKeywordSpotter(plainJoiner(VOCAB_SIZE), [keyword], {
      ...options,
      ...favoured,
      maxActivePaths: 2,
    });
    const between = [
      [0.5, 0.02, 0.4, 0.04, 0.04],
      [0.3, 0.05, 0.4, 0.2, 0.05],
    ];
    decoder.accept(Float32Array.from([...certain([1]), ...between.flat().map(Math.log), ...certain([0, 0])]));
    expect(decoder.takeHits()).toMatchObject([{ endFrame: 1, score: 1 }]);
  });

  it('hears the longest of keywords within one another, and the shorter one when the longer cannot come', () => {
    const short = { phrase: 'short', tokens: [1, 2] };
    const long = { phrase: 'long', tokens: [1, 2, 3, 3] };
    const names = (frames: readonly number[], finish = false) => {
      const decoder = new TransducerKeywordSpotter(plainJoiner(VOCAB_SIZE), [short, long], options);
      decoder.accept(certain(frames));
      if (finish) {
        decoder.finish();
      }
      return decoder.takeHits().map(({ keyword }) => keyword);
    };
    expect(names([1, 2, 0, 0, 3, 3, 0, 0])).toEqual(['long']);
    // Another token was said, and is not lost.
    expect(names([1, 2, 0, 0, 4])).toEqual(['short']);
    expect(names([1, 2, 0, 0, 1, 2, 0, 0, 3, 3, 0, 0])).toEqual(['short', 'long']);
    // Nothing was said for a second and a half.
    expect(names([1, 2, ...blanks(37)])).toEqual([]);
    expect(names([1, 2, ...blanks(38)])).toEqual(['short']);
    expect(names([1, 2, 0, 0])).toEqual([]);
    expect(names([1, 2, 0, 0], true)).toEqual(['short']);
  });

  it('favours its tokens by the option’s score, or by that of the line', () => {
    // The blank is four times as likely as the first token.
    const frames = [[0, 0.5] as const, 2, 0, 0];
    const any = { keywordsThreshold: 0 };
    expect(hear(frames, { ...any, keywordsScore: 0 })).toEqual([]);
    expect(hear(frames, { ...any, keywordsScore: 4 })).toHaveLength(1);
    expect(hear(frames, { ...any, keywordsScore: 0 }, { boost: 4 })).toHaveLength(1);
    expect(hear(frames, { ...any, keywordsScore: 4 }, { boost: 0 })).toEqual([]);
  });

  it('takes blanks and unknown tokens inside of a keyword, and forgets it after 1.5 s of them', () => {
    expect(hear([1, ...blanks(10), 2, 0, 0])).toHaveLength(1);
    expect(hear([1, ...blanks(37), 2, 0, 0])).toHaveLength(1);
    expect(hear([1, ...blanks(38), 2, 0, 0])).toEqual([]);
    expect(hear([1, UNK, 2, 0, 0], { unkId: UNK })).toHaveLength(1);
    expect(hear([1, 2, UNK, UNK], { unkId: UNK })).toHaveLength(1);
    expect(hear([1, UNK, 2, 0, 0])).toEqual([]);
    expect(hear([1, 3, 2, 0, 0])).toEqual([]);
  });

  it('takes the penalty from blanks', () => {
    const frames = [[0, 0.7] as const, [0, 0.7] as const, [0, 0.9999999] as const, [0, 0.9999999] as const];
    const own = { tokens: [3, 3], threshold: 0.2 };
    expect(hear(frames, { keywordsScore: 2 }, own)).toEqual([]);
    expect(hear(frames, { keywordsScore: 2, blankPenalty: 4 }, own)).toHaveLength(1);
  });
});
