import { RillError, shown } from '../errors.ts';
import { WORD_BOUNDARY, startsUnmarked, type TokenTable } from '../model/tokens.ts';
import type { ContextPhrase } from './context-graph.ts';
import { MAX_BOOST, type DecodedToken } from './decoder.ts';

/** Mean token probability that a keyword must reach, unless its line says otherwise (sherpa-onnx's default). */
export const DEFAULT_KEYWORD_THRESHOLD = 0.25;
/** Encoder frames (1.5 s) without a token after which the beginning of a keyword is forgotten. */
export const FORGET_AFTER_FRAMES = 37;

/** Letters of a phrase that is given as text: splitting it takes time with their square. */
const MAX_TEXT = 500;

export interface Keyword {
  /** What is reported: the `@phrase` of its line, underscores read as spaces, or the text of its tokens. */
  phrase: string;
  tokens: readonly number[];
  /** Mean token probability that it must reach; the reader's default where its line has none. */
  threshold?: number;
  /** Added to a search's score for each of its tokens; the spotter's default where its line has none. */
  boost?: number;
}

/** A keyword that was heard. */
export interface KeywordHit {
  keyword: string;
  /** Encoder frames of its first and last token. */
  startFrame: number;
  endFrame: number;
  /** Mean probability of its tokens. */
  score: number;
}

/** One line of a keyword or hotwords file. */
interface PhraseLine {
  tokens: number[];
  boost?: number;
  threshold?: number;
  phrase?: string;
}

/**
 * Reads lines of `tok tok … :boost #threshold @phrase`, the last three optional. A line whose words are not all tokens
 * is text, which is split into tokens.
 *
 * @throws RillError `bad-model` with the line, for tokens that the model does not have and numbers out of range.
 */
function parseLines(text: string, table: TokenTable, what: string): PhraseLine[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '') {
      return [];
    }
    const words = line.split(/\s+/).filter(Boolean);
    const bad = (got: string, expected: string) =>
      new RillError('bad-model', {
        got: `${got} on line ${index + 1} of the ${what}`,
        expected,
        remedy: 'A line is the phrase, as tokens or as text, then optionally :boost, #threshold and @phrase.',
      });
    const parsed: PhraseLine = { tokens: [] };
    const said: string[] = [];
    for (const word of words) {
      const rest = word.slice(1);
      const number = rest === '' ? NaN : Number(rest);
      if (table.idOf(word) !== undefined && parsed.phrase === undefined) {
        said.push(word);
      } else if (word.startsWith('@') && rest) {
        parsed.phrase = rest.replaceAll('_', ' ');
      } else if (word.startsWith(':') && Number.isFinite(number)) {
        if (Math.abs(number) > MAX_BOOST) {
          throw bad(`a boost of ${number}`, `a number from ${-MAX_BOOST} to ${MAX_BOOST}`);
        }
        parsed.boost = number || undefined;
      } else if (word.startsWith('#') && Number.isFinite(number)) {
        if (number < 0 || number > 1) {
          throw bad(`a threshold of ${number}`, 'a probability from 0 to 1');
        }
        parsed.threshold = number || undefined;
      } else {
        said.push(word);
      }
    }
    const ids = said.map((word) => table.idOf(word));
    const text = said.join(' ');
    // Where words begin with a mark, a line without one is text that happens to be made of tokens; Chinese has none.
    const hasMark = said.some((word) => word.startsWith(WORD_BOUNDARY)) || startsUnmarked(said[0] ?? '');
    const isTokens = ids.every((id) => id !== undefined) && (!table.marksStart || hasMark);
    if (!isTokens && text.length > MAX_TEXT) {
      throw bad(`${text.length} letters of text`, `at most ${MAX_TEXT}`);
    }
    const tokens = isTokens ? ids : table.encode(text);
    if (!tokens) {
      const foreign = said.find((word) => !table.encode(word)) ?? said[0];
      throw bad(shown(foreign), 'tokens of tokens.txt, or text that they can spell');
    }
    parsed.tokens = tokens;
    if (tokens.length === 0) {
      throw bad('no token', 'at least one');
    }
    return [parsed];
  });
}

/**
 * Reads a keyword file of sherpa-onnx: one keyword a line, `tok tok … :boost #threshold @phrase`, or text for the tokens.
 * A boost or threshold of 0 stands for the default, as there.
 *
 * @throws RillError `bad-model` with the line.
 */
export function parseKeywords(text: string, table: TokenTable): Keyword[] {
  return parseLines(text, table, 'keywords').map(({ tokens, boost, threshold, phrase }) => ({
    phrase: phrase ?? table.text(tokens),
    tokens,
    boost,
    threshold,
  }));
}

/**
 * Reads a hotwords file: one phrase a line, as tokens or as text, `tok tok … :score`.
 *
 * @param score for each token of a phrase whose line has none
 * @throws RillError `bad-model` with the line.
 */
export function parseHotwords(text: string, table: TokenTable, score: number): ContextPhrase[] {
  return parseLines(text, table, 'hotwords').map(({ tokens, boost }) => ({ tokens, score: boost ?? score }));
}

/** Reports keywords in a stream of decoded tokens: all of a keyword's tokens, one right after the other. */
export class KeywordReport {
  readonly #keywords: readonly Keyword[];
  readonly #longest: number;
  #recent: DecodedToken[] = [];

  constructor(keywords: readonly Keyword[]) {
    this.#keywords = keywords;
    this.#longest = keywords.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 0);
  }

  /** Takes the next tokens and returns the keywords that end with them; the longest, where several do. */
  accept(tokens: readonly DecodedToken[]): KeywordHit[] {
    const hits: KeywordHit[] = [];
    if (this.#longest === 0) {
      return hits;
    }
    for (const token of tokens) {
      const before = this.#recent.at(-1);
      if (before && token.frame - before.frame > FORGET_AFTER_FRAMES) {
        this.#recent = [];
      }
      this.#recent = [...this.#recent, token].slice(-this.#longest);
      const [best] = this.#keywords
        .flatMap((keyword) => this.#match(keyword) ?? [])
        .sort((a, b) => b.length - a.length);
      if (best) {
        hits.push(best.hit);
        this.#recent = [];
      }
    }
    return hits;
  }

  #match({
    phrase,
    tokens,
    threshold = DEFAULT_KEYWORD_THRESHOLD,
  }: Keyword): { hit: KeywordHit; length: number } | undefined {
    const heard = this.#recent.slice(-tokens.length);
    if (heard.length < tokens.length || heard.some(({ id }, i) => id !== tokens[i])) {
      return undefined;
    }
    const score = heard.reduce((sum, { logProb }) => sum + Math.exp(logProb), 0) / heard.length;
    if (score < threshold) {
      return undefined;
    }
    const hit = { keyword: phrase, startFrame: heard[0].frame, endFrame: heard[heard.length - 1].frame, score };
    return { hit, length: tokens.length };
  }
}
