import { describe, expect, it } from 'vitest';
import { CtcKeywordSpotter } from '../../src/decoder/ctc-keyword-spotter.ts';
import { KeywordReport, type Keyword } from '../../src/decoder/keywords.ts';
import { parseKeywords } from '../../src/decoder/phrase-files.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { joinWords } from '../../src/text/words.ts';

const table = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\n').withPhrase('a b');
const PHRASE = 4;
const phrase: Keyword = { phrase: 'a b', tokens: [PHRASE], isPhrase: true };

/** Frames of which each says the phrase with a probability, and blank with the rest. */
function frames(probabilities: readonly number[]): Float32Array {
  const logProbs = new Float32Array(probabilities.length * table.size).fill(-30);
  probabilities.forEach((probability, t) => {
    logProbs[t * table.size] = Math.log(1 - probability);
    logProbs[t * table.size + PHRASE] = Math.log(Math.max(probability, 1e-9));
  });
  return logProbs;
}

function hear(probabilities: readonly number[], chunk = 1, keyword = phrase) {
  const spotter = new CtcKeywordSpotter([keyword], { vocabSize: table.size, blankId: 0 });
  const logProbs = frames(probabilities);
  for (let at = 0; at < probabilities.length; at += chunk) {
    spotter.accept(logProbs.subarray(at * table.size, (at + chunk) * table.size));
  }
  const early = spotter.takeHits();
  spotter.finish();
  return { early, late: spotter.takeHits() };
}

const quiet = (count: number) => Array<number>(count).fill(0);

describe('a phrase that is one token', () => {
  it('is heard at the peak of its probability, with the first frame below the threshold, though blank is likelier', () => {
    const { early } = hear([0, 0.1, 0.25, 0.4, 0.3, 0.1]);
    expect(early).toMatchObject([{ keyword: 'a b', startFrame: 3, endFrame: 3 }]);
    expect(early[0].score).toBeCloseTo(0.4, 5);
    expect(hear([0, 0.1, 0.25, 0.4, 0.3]).early).toEqual([]);
    expect(hear([0, 0.1, 0.25, 0.4, 0.3]).late).toHaveLength(1);
  });

  it('wants a probability of 0.2, or that of its line', () => {
    expect(hear([0, 0.19, 0]).early).toEqual([]);
    expect(hear([0, 0.19, 0], 1, { ...phrase, threshold: 0.15 }).early).toHaveLength(1);
    expect(hear([0, 0.4, 0], 1, { ...phrase, threshold: 0.5 }).early).toEqual([]);
  });

  it('is heard again 0.6 s later, and not before', () => {
    const twice = (gap: number) => hear([0.5, ...quiet(gap - 1), 0.5, 0]).early.map(({ startFrame }) => startFrame);
    expect(twice(14)).toEqual([0]);
    expect(twice(15)).toEqual([0, 15]);
  });

  it('is heard the same in any chunks', () => {
    const probabilities = Array.from({ length: 200 }, (_, t) => 0.5 + 0.49 * Math.sin(t / 3 + (t * t) / 900));
    const whole = hear(probabilities, 200);
    expect(whole.early.length).toBeGreaterThan(3);
    expect(hear(probabilities, 1)).toEqual(whole);
    expect(hear(probabilities, 7)).toEqual(whole);
  });

  it('is heard beside keywords that are spelled, which it does not change', () => {
    const spelled: Keyword = { phrase: 'ab', tokens: [2, 3] };
    const spotter = new CtcKeywordSpotter([spelled, phrase], { vocabSize: table.size, blankId: 0 });
    const logProbs = new Float32Array(6 * table.size).fill(-9);
    [2, 3, 0, 0, PHRASE, 0].forEach((id, t) => (logProbs[t * table.size + id] = -0.001));
    spotter.accept(logProbs);
    expect(spotter.takeHits().map(({ keyword }) => keyword)).toEqual(['ab', 'a b']);
  });

  it('is reported of a greedy search by the same threshold and distance', () => {
    const report = new KeywordReport([phrase]);
    const token = (frame: number, probability: number) => ({ id: PHRASE, frame, logProb: Math.log(probability) });
    const hits = report.accept([token(0, 0.45), token(10, 0.9), token(15, 0.1), token(30, 0.9)]);
    expect(hits.map(({ startFrame }) => startFrame)).toEqual([0, 30]);
  });

  it('is a line of a keyword file', () => {
    expect(parseKeywords('a▁b▁ #0.3\n', table)).toEqual([
      { phrase: 'a b', tokens: [PHRASE], isPhrase: true, threshold: 0.3, boost: undefined },
    ]);
    // Text is spelled, whatever phrases there are.
    expect(parseKeywords('a b @ab\n', table)[0].tokens).toEqual([2, 3]);
  });

  it('stands apart in text, and makes words of its own', () => {
    expect(table.text([2, PHRASE, 3, 1])).toBe('a a b b');
    const tokens = [2, PHRASE, 3, 1].map((id, frame) => ({ id, frame, logProb: 0 }));
    expect(joinWords(tokens, table).map(({ text, startFrame }) => [text, startFrame])).toEqual([
      ['a', 0],
      ['a', 1],
      ['b', 1],
      ['b', 2],
    ]);
  });
});
