import { describe, expect, it } from 'vitest';
import { KeywordSpotterDecoder, type SpotterOptions } from '../../src/decoder/keyword-spotter.ts';
import type { Keyword } from '../../src/decoder/keywords.ts';
import { likeliest, plainJoiner } from '../support/joiner.ts';

const VOCAB_SIZE = 5;
const UNK = 4;

/** The keyword of tokens 1 and 2. */
const keyword: Keyword = { phrase: 'one two', tokens: [1, 2] };

/** What is heard in frames of [token, probability], or of a token alone, which is nearly certain. */
function hear(
  frames: readonly (number | readonly [number, number])[],
  options: Partial<SpotterOptions> = {},
  own: Partial<Keyword> = {},
) {
  const decoder = new KeywordSpotterDecoder(plainJoiner(VOCAB_SIZE), [{ ...keyword, ...own }], {
    vocabSize: VOCAB_SIZE,
    blankId: 0,
    ...options,
  });
  decoder.accept(
    likeliest(
      VOCAB_SIZE,
      frames.map((frame) => (typeof frame === 'number' ? [frame, 0.99] : frame)),
    ),
  );
  return decoder.takeHits();
}

const blanks = (count: number) => Array<number>(count).fill(0);

describe('KeywordSpotterDecoder', () => {
  it('fires once, when more blanks have followed than must', () => {
    expect(hear([0, 1, 2, 0])).toEqual([]);
    expect(hear([0, 1, 2, 0, 0, 0, 0])).toMatchObject([{ keyword: 'one two', startFrame: 1, endFrame: 2 }]);
    expect(hear([0, 1, 2, 0], { numTrailingBlanks: 0 })).toHaveLength(1);
    expect(hear([0, 1, 2, 0, 0, 0], { numTrailingBlanks: 3 })).toEqual([]);
  });

  it('wants a mean probability of a quarter, of the option, or of the line', () => {
    // Nothing else is as likely; the bonus makes up for what is missing to the blank.
    const spoken = (probability: number) => [[1, probability] as const, [2, probability] as const, 0, 0];
    expect(hear(spoken(0.3))).toHaveLength(1);
    expect(hear(spoken(0.24))).toEqual([]);
    expect(hear(spoken(0.3), { keywordsThreshold: 0.35 })).toEqual([]);
    expect(hear(spoken(0.24), { keywordsThreshold: 0.1 })).toHaveLength(1);
    expect(hear(spoken(0.24), { keywordsThreshold: 0.9 }, { threshold: 0.1 })).toHaveLength(1);
    expect(hear(spoken(0.3))[0].score).toBeCloseTo(0.3, 5);
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
