import { describe, expect, it } from 'vitest';
import { CtcKeywordSpotter } from '../../src/decoder/ctc-keyword-spotter.ts';
import type { Keyword, SpotterOptions } from '../../src/decoder/keywords.ts';
import { failure } from '../support/failure.ts';
import { likeliest } from '../support/joiner.ts';
import { randoms } from '../support/random.ts';

const VOCAB_SIZE = 6;
const UNK = 5;

type Frames = readonly (number | readonly [number, number])[];

const short: Keyword = { phrase: 'short', tokens: [1, 2] };
const long: Keyword = { phrase: 'long', tokens: [1, 2, 3, 4] };

const blanks = (count: number) => Array<number>(count).fill(0);

function spotter(keywords: readonly Keyword[], options: Partial<SpotterOptions> = {}) {
  return new CtcKeywordSpotter(keywords, { vocabSize: VOCAB_SIZE, blankId: 0, ...options });
}

const logProbs = (frames: Frames) =>
  likeliest(
    VOCAB_SIZE,
    frames.map((frame) => (typeof frame === 'number' ? [frame, 0.99] : frame)),
  );

/** What is heard in frames of [token, probability], or of a token alone, which is nearly certain. */
function hear(frames: Frames, keywords: readonly Keyword[] = [short], options: Partial<SpotterOptions> = {}) {
  const decoder = spotter(keywords, options);
  decoder.accept(logProbs(frames));
  return decoder.takeHits();
}

const names = (hits: readonly { keyword: string }[]) => hits.map(({ keyword }) => keyword);

describe('CtcKeywordSpotter', () => {
  it('fires once, when more blanks have followed than must, with the frames of the first and the last token', () => {
    expect(hear([0, 1, 1, 2, 0])).toEqual([]);
    expect(hear([0, 1, 1, 0, 2, 2, 0, 0, 0])).toMatchObject([{ keyword: 'short', startFrame: 1, endFrame: 4 }]);
    expect(hear([0, 1, 2, 0], [short], { numTrailingBlanks: 0 })).toHaveLength(1);
    expect(hear([0, 1, 2, 0, 0, 0], [short], { numTrailingBlanks: 3 })).toEqual([]);
    expect(names(hear([1, 2, 0, 0, 1, 2, 0, 0]))).toEqual(['short', 'short']);
  });

  it('scores by the path’s ratio to the best one, for each token', () => {
    expect(hear([1, 2, 0, 0])[0].score).toBe(1);
    // In place of the second token another is likelier: 0.8 against (1 - 0.8) / 5.
    const [hit] = hear([1, [3, 0.8], 0, 0], [short], { keywordsThreshold: 0.1, keywordsScore: 3 });
    expect(hit.score).toBeCloseTo(Math.sqrt(0.04 / 0.8), 5);
    // The keyword's tokens are counted, not the frames.
    const held = hear([1, [3, 0.8], [3, 0.8], 0, 0], [short], { keywordsThreshold: 0, keywordsScore: 3 });
    expect(held[0].score).toBeCloseTo(0.04 / 0.8, 5);
  });

  it('wants the score of the option or of the line, and that the favoured path wins', () => {
    // Scores 0.5.
    const frames: Frames = [1, [3, 0.4545454], [2, 0.8], 0, 0];
    const score = hear(frames, [short], { keywordsThreshold: 0, keywordsScore: 9 })[0].score;
    const heard = (options: Partial<SpotterOptions>, own: Partial<Keyword> = {}) =>
      hear(frames, [{ ...short, ...own }], options).length;
    expect([heard({ keywordsThreshold: score - 0.01 }), heard({ keywordsThreshold: score + 0.01 })]).toEqual([1, 0]);
    expect([heard({ keywordsThreshold: 1 }, { threshold: score - 0.01 }), heard({}, { threshold: 1 })]).toEqual([1, 0]);
    const needed = -Math.log(score);
    const any = { threshold: 0.01 };
    expect([needed + 0.01, needed - 0.01].map((keywordsScore) => heard({ keywordsScore }, any))).toEqual([1, 0]);
    expect([needed + 0.01, 0].map((boost) => heard({ keywordsScore: 1 - boost }, { ...any, boost }))).toEqual([1, 0]);
  });

  it.each([
    ['two tokens', [1, 2]],
    ['a repeated token', [1, 1]],
    ['three tokens', [2, 1, 2]],
  ])('finds the best of all alignments of %s', (_, tokens) => {
    for (let seed = 1; seed <= 20; seed++) {
      const count = 7;
      const noise = randoms(count * VOCAB_SIZE, seed, 3);
      // Behind the rest comes the one blank that makes it fire.
      const frames = Float32Array.from([...noise, ...logProbs([0])]);
      const fired = spotter([{ phrase: 'any', tokens }], {
        keywordsThreshold: 0,
        keywordsScore: 100,
        numTrailingBlanks: 0,
      });
      const hits = Array.from({ length: count + 1 }, (__, frame) => {
        fired.accept(frames.subarray(frame * VOCAB_SIZE, (frame + 1) * VOCAB_SIZE));
        return { frame, hit: fired.takeHits().at(0) };
      });
      const first = hits.find(({ hit }) => hit);
      const best = bestAlignment(frames, tokens, first?.frame ?? -1);
      expect(first?.hit?.score).toBeCloseTo(Math.exp(best / tokens.length), 4);
    }
  });

  it('takes blanks and unknown tokens inside of a keyword, and forgets it after 1.5 s of them', () => {
    expect(hear([1, ...blanks(36), 2, 0, 0])).toHaveLength(1);
    expect(hear([1, ...blanks(38), 2, 0, 0])).toEqual([]);
    expect(hear([1, UNK, 2, UNK, UNK], [short], { unkId: UNK })).toHaveLength(1);
    expect(hear([1, UNK, 2, 0, 0])).toEqual([]);
  });

  it('tells tokens that are repeated from one that is held', () => {
    const twice: Keyword = { phrase: 'twice', tokens: [1, 1] };
    expect(hear([1, 1, 1, 0, 0], [twice])).toEqual([]);
    expect(hear([1, 0, 1, 0, 0], [twice])).toHaveLength(1);
  });

  it('takes the penalty from blanks', () => {
    const between = [0.7, 0.005, 0.005, 0.28, 0.005, 0.005].map(Math.log);
    const [without, penalised] = [0, 5].map((blankPenalty) => {
      const decoder = spotter([short], { keywordsThreshold: 0, keywordsScore: 9, blankPenalty });
      decoder.accept(Float32Array.from([...logProbs([1]), ...between, ...logProbs([2, 0, 0])]));
      return decoder.takeHits()[0];
    });
    expect(without.score).toBe(1);
    expect(penalised.score).toBeLessThan(1);
  });

  it('hears the longest of keywords within one another, and the shorter one when the longer cannot come', () => {
    const inner: Keyword = { phrase: 'inner', tokens: [2, 3] };
    const last: Keyword = { phrase: 'last', tokens: [3, 4] };
    const all = [short, inner, last, long];
    expect(names(hear([1, 2, 0, 0, 3, 4, 0, 0], all))).toEqual(['long']);
    // Another token was said.
    expect(names(hear([1, 2, 0, 0, 0, 4, 4, 0, 0], all))).toEqual(['short']);
    expect(names(hear([0, 3, 4, 0, 0], all))).toEqual(['last']);
    // Nothing was said for a second and a half.
    expect(names(hear([1, 2, ...blanks(36)], all))).toEqual([]);
    expect(names(hear([1, 2, ...blanks(39)], all))).toEqual(['short']);
    expect(names(hear([1, 2, 3, 0, 0, ...blanks(40)], all))).toEqual(['inner']);
    const decoder = spotter(all);
    decoder.accept(logProbs([1, 2, 0, 0]));
    expect(decoder.takeHits()).toEqual([]);
    decoder.finish();
    expect(names(decoder.takeHits())).toEqual(['short']);
  });

  it('makes one hit of a sound, of keywords that both are near it the nearer', () => {
    const other: Keyword = { phrase: 'other', tokens: [1, 3] };
    const frames: Frames = [1, [2, 0.7], 0, 0, 0, 0, 0];
    expect(names(hear(frames, [other, short], { keywordsThreshold: 0.01, keywordsScore: 9 }))).toEqual(['short']);
  });

  it('does not care how frames are split', () => {
    const frames = logProbs([0, 1, 2, 0, 0, 3, 4, 0, 0, 1, 2, 0, 0, 4, 0, 0]);
    const whole = spotter([short, long]);
    whole.accept(frames);
    const split = spotter([short, long]);
    for (let start = 0; start < frames.length; start += VOCAB_SIZE) {
      split.accept(frames.subarray(start, start + VOCAB_SIZE));
    }
    const heard = whole.takeHits();
    expect(names(heard)).toEqual(['long', 'short']);
    expect(split.takeHits()).toEqual(heard);
    expect([split.frames, split.logProb, split.trailingBlanks]).toEqual([whole.frames, whole.logProb, 2]);
  });

  it('refuses numbers out of range', async () => {
    await failure('bad-argument', () => spotter([], { keywordsThreshold: 2 }));
    await failure('bad-argument', () => spotter([], { numTrailingBlanks: -1 }));
  });
});

/** The largest sum of `log p - log of the frame's best` of all that say the tokens and end in a blank on a frame. */
function bestAlignment(logProbs: Float32Array, tokens: readonly number[], last: number): number {
  const ratio = (frame: number, id: number) => {
    const row = logProbs.subarray(frame * VOCAB_SIZE, (frame + 1) * VOCAB_SIZE);
    return row[id] - Math.max(...row);
  };
  /** Of frames from one on, when so many tokens were said and the frame before had that label. */
  const best = (frame: number, said: number, label: number): number => {
    if (frame > last) {
      return said === tokens.length && label === 0 ? 0 : -Infinity;
    }
    const ways = [ratio(frame, 0) + best(frame + 1, said, 0)];
    if (label !== 0) {
      ways.push(ratio(frame, label) + best(frame + 1, said, label));
    }
    if (said < tokens.length && tokens[said] !== label) {
      ways.push(ratio(frame, tokens[said]) + best(frame + 1, said + 1, tokens[said]));
    }
    return Math.max(...ways);
  };
  const entries = Array.from(
    { length: last + 1 },
    (_, frame) => ratio(frame, tokens[0]) + best(frame + 1, 1, tokens[0]),
  );
  return Math.max(...entries);
}
