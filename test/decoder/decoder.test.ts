import { describe, expect, it } from 'vitest';
import { CtcGreedyDecoder } from '../../src/decoder/ctc-greedy.ts';
import { ContextGraph } from '../../src/decoder/context-graph.ts';
import { KeywordReport } from '../../src/decoder/keywords.ts';
import { parseHotwords, parseKeywords } from '../../src/decoder/phrase-files.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { joinWords } from '../../src/text/words.ts';
import { failure } from '../support/failure.ts';
import { attempt, bitFlipsAt, expectSurvived, hostileTexts, truncations, type Damaged } from '../support/fuzz.ts';

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

/** Words end with the mark, as the bundled model's. */
const ended = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\nc▁ 4\n');
/** Words begin with it, as in tables of sentencepiece. */
const marked = TokenTable.parse('<blk> 0\n▁PAN 1\n▁RI 2\nGHT 3\nP 4\nA 5\nN 6\n▁ 7\n');

describe('keywords', () => {
  it('reads sherpa-onnx’s keyword file', () => {
    expect(parseKeywords('a b :2.0 #0.4 @A_B\n\nc▁ a\n', ended)).toEqual([
      { phrase: 'A B', tokens: [2, 3], boost: 2, threshold: 0.4 },
      { phrase: 'c a', tokens: [4, 2] },
    ]);
  });

  it('takes the phrase behind @ to the end of the line, or to the next mark', () => {
    const phrases = (text: string) => parseKeywords(text, ended).map(({ phrase, tokens }) => [phrase, tokens]);
    expect(phrases('a b @SMART MIRROR\na b @one_two three :2 #0.5\na b :2 @:x y\n')).toEqual([
      ['SMART MIRROR', [2, 3]],
      ['one two three', [2, 3]],
      [':x y', [2, 3]],
    ]);
  });

  it.each([
    // Letters with spaces between, in a case that the table does not have; tokens of BPE, in either.
    [ended, 'A B ▁ @ab', '"A"', '"a"'],
    [ended, 'A B', '"A"', '"a"'],
    [ended, 'a B ▁', '"B"', '"b"'],
    [marked, '▁pan ▁ri GHT', '"▁pan"', '"▁PAN"'],
    [marked, '▁PAN ght', '"ght"', '"GHT"'],
    [marked, '▁PAN ▁XY', '"▁XY"', 'tokens of tokens.txt'],
  ])('takes no token line for text: names the token that the table lacks (%#)', async (table, line, got, expected) => {
    const message = await failure('bad-model', () => parseKeywords(line, table));
    expect(message).toContain(got);
    expect(message).toContain(expected);
    expect(message).toContain('line 1');
  });

  it.each(['x\n', 'a :much\n', '@name\n', 'a #\n', 'a #1.5\n', 'a :1e300\n', 'a :-1e300\n'])(
    'refuses %j with its line',
    async (text) => {
      expect(await failure('bad-model', () => parseKeywords(`a\n${text}`, ended))).toContain('line 2');
    },
  );

  it('takes what begins no word for text where words begin with a mark', () => {
    const table = TokenTable.parse('<blk> 0\n▁IT 1\n▁IS 2\nIT 3\nIS 4\n▁ 5\n');
    expect(parseKeywords('IT IS\n▁IT IS @token_by_token\n', table).map(({ tokens }) => tokens)).toEqual([
      [1, 2],
      [1, 4],
    ]);
  });

  it('takes Chinese characters for tokens, which have no mark', () => {
    const table = TokenTable.parse('<blk> 0\n▁THE 1\n▁HE 2\n▁ 3\nLL 4\nO 5\n你 6\n好 7\n');
    expect(parseKeywords('你 好 :2\n你 好 ▁HE LL O\n你好\n', table).map(({ tokens }) => tokens)).toEqual([
      [6, 7],
      [6, 7, 2, 4, 5],
      [6, 7],
    ]);
  });

  it('reports the longest keyword that ends, once, above its threshold', () => {
    const report = new KeywordReport(parseKeywords('a b #0.4 @short\na a b #0.4 @long\nb b #0.9 @certain\n', ended));
    const tokens = decode([0, 2, 0, 2, 3], [0, 3, 0, 3], [2, 3]);
    const reported = tokens.flatMap((token) => report.accept([token]));
    expect(reported.map(({ keyword, startFrame, endFrame }) => [keyword, startFrame, endFrame])).toEqual([
      ['long', 1, 4],
      ['short', 9, 10],
    ]);
    expect(reported[0].score).toBeCloseTo(0.5, 6);
  });
});

describe('KeywordReport', () => {
  const token = (id: number, probability = 0.9, frame = 0) => ({ id, frame, logProb: Math.log(probability) });

  it('wants a mean probability of a half, where the line says nothing else', () => {
    const heard = (probability: number, line = 'a b\n') =>
      new KeywordReport(parseKeywords(line, ended)).accept([token(2, probability), token(3, probability)]).length;
    expect([heard(0.51), heard(0.49), heard(0.49, 'a b #0.4\n'), heard(0.51, 'a b #0.6\n')]).toEqual([1, 0, 1, 0]);
  });

  it('tells the longest of keywords within one another, and the shorter one when the longer cannot come', () => {
    const a = 2;
    const b = 3;
    const c = 4;
    const hear = (ids: readonly number[], frame?: number, text = 'a b\na b c▁ a\nc▁\n') => {
      const report = new KeywordReport(parseKeywords(text, ended));
      const told = report.accept(
        ids.map((id, frame) => token(id, 0.9, frame)),
        frame,
      );
      return [told, report.finish()].map((hits) => hits.map(({ keyword }) => keyword));
    };
    expect(hear([a, b])).toEqual([[], ['ab']]);
    expect(hear([a, b, c, a])).toEqual([['abc a'], []]);
    // What was said of the longer one is heard again.
    expect(hear([a, b, c, b])).toEqual([['ab', 'c'], []]);
    expect(hear([a, b, a, b])).toEqual([['ab'], ['ab']]);
    // A second and a half without a token.
    expect(hear([a, b], 38)).toEqual([[], ['ab']]);
    expect(hear([a, b], 39)).toEqual([['ab'], []]);
    // The end of one is the beginning of another, or lies within it.
    expect(hear([a, b, a, b, c], undefined, 'a b\nb a b c▁\n')).toEqual([['ab', 'ab'], []]);
    expect(hear([b, a, b, c], undefined, 'a b\nb a b c▁\n')).toEqual([['babc'], []]);
  });

  it('counts a token for one hit only', () => {
    const report = new KeywordReport(parseKeywords('a a\n', ended));
    expect([1, 2, 3, 4].map((frame) => report.accept([token(2, 0.9, frame)]).length)).toEqual([0, 1, 0, 1]);
  });
});

/** Reads a keyword file. @returns the bytes of what it holds */
function readKeywords(text: string): number {
  const keywords = parseKeywords(text, ended);
  new KeywordReport(keywords);
  return keywords.reduce((sum, { tokens, phrase }) => sum + 8 * tokens.length + 2 * phrase.length, 0);
}

/** Reads a hotwords file and walks the graph that a search makes of it. @returns the bytes of what it holds */
function readHotwords(text: string): number {
  const hotwords = parseHotwords(text, ended, 1);
  const graph = new ContextGraph(hotwords);
  for (const { tokens } of hotwords) {
    let state = graph.root;
    for (const token of [...tokens, 0]) {
      const next = graph.favour(state, token);
      if (!Number.isFinite(next.score)) {
        expect.fail(`a score of ${next.score}`);
      }
      state = next.state;
    }
  }
  return hotwords.reduce((sum, { tokens }) => sum + 8 * tokens.length, 0);
}

describe.each([
  ['keyword', readKeywords],
  ['hotwords', readHotwords],
])('a damaged %s file', (_, readText) => {
  /** Ids and phrases are wider than their text; a line of four bytes takes a few objects. */
  const limits = { codes: ['bad-model'], growth: 8, work: 128 } as const;
  const read = (bytes: Uint8Array) => readText(new TextDecoder().decode(bytes));
  const encode = (text: string) => new TextEncoder().encode(text);
  const whole = '▁c a b :2.0 #0.4 @A_B\n\na b a b :1.5\nb a @a\nb\n';

  it('is refused, or read line by line', async () => {
    const bytes = encode(whole);
    function* texts(): Generator<Damaged> {
      for (const { what, text } of hostileTexts(whole)) {
        yield { what, bytes: encode(text) };
      }
    }
    // A cut between lines leaves a whole file.
    expect(await expectSurvived(truncations(bytes), read, limits)).toBeGreaterThan(0);
    expect(await expectSurvived(bitFlipsAt(bytes, Array(bytes.length).keys()), read, limits)).toBeGreaterThan(200);
    expect(await expectSurvived(texts(), read, limits)).toBeGreaterThan(200);
  });

  it.each([
    ['very many lines', 'a b\n'.repeat(150_000)],
    ['one very long line', 'a b '.repeat(20_000)],
    ['empty lines', '\n'.repeat(500_000)],
  ])('of %s is read in time', async (what, text) => {
    const outcome = await attempt({ what: `of ${what}`, bytes: encode(text) }, read, limits);
    expect(outcome).toBe(readText(text));
  });
});

describe('KeywordReport', () => {
  it('knows no keyword whose halves lie far apart', () => {
    const report = () => new KeywordReport([{ phrase: 'ab', tokens: [2, 3] }]);
    const at = (id: number, frame: number) => ({ id, frame, logProb: 0 });
    expect(report().accept([at(2, 0), at(3, 30)])).toHaveLength(1);
    expect(report().accept([at(2, 0), at(3, 60)])).toHaveLength(0);
  });
});

describe('joinWords', () => {
  it('makes characters of byte tokens', () => {
    const table = TokenTable.parse('<blk> 0\n▁ 1\n<0xE4> 2\n<0xBD> 3\n<0xA0> 4\nb 5\n');
    const tokens = [1, 2, 3, 4, 5, 1, 2, 3].map((id, frame) => ({ id, frame, logProb: 0 }));
    expect(joinWords(tokens, table).map(({ text }) => text)).toEqual(['你b', '']);
  });

  it('takes each Chinese character for a word, complete at once, and none of it for English', () => {
    const table = TokenTable.parse('<blk> 0\n你 1\n好 2\n▁WOR 3\nLD 4\n世界 5\n');
    const tokens = [1, 2, 3, 4, 5, 4].map((id, frame) => ({ id, frame, logProb: 0 }));
    expect(joinWords(tokens, table)).toEqual([
      { text: '你', startFrame: 0, endFrame: 0, complete: true },
      { text: '好', startFrame: 1, endFrame: 1, complete: true },
      { text: 'WORLD', startFrame: 2, endFrame: 3, complete: true },
      { text: '世', startFrame: 4, endFrame: 4, complete: true },
      { text: '界', startFrame: 4, endFrame: 4, complete: true },
      { text: 'LD', startFrame: 5, endFrame: 5, complete: false },
    ]);
  });

  it('ends a word at a mark behind it, or at one before the next', () => {
    const words = joinWords(decode([2, 3, 1, 0, 4, 2, 0, 4]), table);
    expect(words).toEqual([
      { text: 'ab', startFrame: 0, endFrame: 1, complete: true },
      { text: 'ca', startFrame: 4, endFrame: 5, complete: true },
      { text: 'c', startFrame: 7, endFrame: 7, complete: false },
    ]);
  });
});
