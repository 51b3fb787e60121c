import { describe, expect, it } from 'vitest';
import { CtcGreedyDecoder } from '../../src/decoder/ctc-greedy.ts';
import { KeywordReport, parseKeywords } from '../../src/decoder/keywords.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { joinWords } from '../../src/text/words.ts';
import { failure } from '../support/failure.ts';

const table = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\n▁c 4\n');

/** Log-probabilities in which each frame's token has probability 1/2. */
const frames = (...ids: number[]) =>
  Float32Array.from(ids.flatMap((id) => table.symbols.map((_, k) => Math.log(k === id ? 0.5 : 0.125))));

const decode = (...chunks: number[][]) => {
  const decoder = new CtcGreedyDecoder({ vocabSize: 5, blankId: 0 });
  chunks.forEach((ids) => decoder.accept(frames(...ids)));
  return decoder.tokens;
};

describe('CtcGreedyDecoder', () => {
  it('merges repeats, drops blanks, and keeps the first frame of a run', () => {
    const tokens = decode([0, 2, 2, 0, 2, 3, 3, 0]);
    expect(tokens.map(({ id, frame }) => [id, frame])).toEqual([
      [2, 1],
      [2, 4],
      [3, 5],
    ]);
    expect(tokens[0].logProb).toBeCloseTo(Math.log(0.5), 6);
  });

  it('does not care how frames are split', () => {
    const ids = [2, 2, 0, 3, 3, 3, 2, 0, 0, 1];
    expect(decode(...ids.map((id) => [id]))).toEqual(decode(ids));
  });

  it('counts trailing blanks', () => {
    const decoder = new CtcGreedyDecoder({ vocabSize: 5, blankId: 0 });
    decoder.accept(frames(0, 2, 0, 0));
    expect([decoder.frames, decoder.trailingBlanks]).toEqual([4, 2]);
  });
});

describe('keywords', () => {
  it('reads sherpa-onnx’s keyword file', () => {
    expect(parseKeywords('a b :2.0 #0.4 @A_B\n\n▁c a\n', table)).toEqual([
      { phrase: 'A B', tokens: [2, 3], boost: 2, threshold: 0.4 },
      { phrase: 'ca', tokens: [4, 2] },
    ]);
  });

  it.each(['x\n', 'a :much\n', '@name\n', 'a #\n'])('refuses %j with its line', async (text) => {
    expect(await failure('bad-model', () => parseKeywords(`a\n${text}`, table))).toContain('line 2');
  });

  it('reports the longest keyword that ends, once, above its threshold', () => {
    const report = new KeywordReport(parseKeywords('a b @short\na a b @long\nb b #0.9 @certain\n', table));
    const tokens = decode([0, 2, 0, 2, 3], [0, 3, 0, 3], [2, 3]);
    const reported = tokens.flatMap((token) => report.accept([token]));
    expect(reported.map(({ keyword, startFrame, endFrame }) => [keyword, startFrame, endFrame])).toEqual([
      ['long', 1, 4],
      ['short', 9, 10],
    ]);
    expect(reported[0].score).toBeCloseTo(0.5, 6);
  });
});

describe('joinWords', () => {
  it('ends a word at a mark behind it, or at one before the next', () => {
    const words = joinWords(decode([2, 3, 1, 0, 4, 2, 0, 4]), table);
    expect(words).toEqual([
      { text: 'ab', startFrame: 0, endFrame: 1, complete: true },
      { text: 'ca', startFrame: 4, endFrame: 5, complete: true },
      { text: 'c', startFrame: 7, endFrame: 7, complete: false },
    ]);
  });
});
