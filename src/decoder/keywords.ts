import { RillError } from '../errors.ts';
import type { TokenTable } from '../model/tokens.ts';
import type { DecodedToken } from './ctc-greedy.ts';

/** Mean token probability that a keyword must reach, unless its line says otherwise (sherpa-onnx's default). */
const DEFAULT_THRESHOLD = 0.25;

export interface Keyword {
  /** What is reported: the `@phrase` of its line, underscores read as spaces, or the text of its tokens. */
  phrase: string;
  tokens: readonly number[];
  threshold: number;
}

/** A keyword that was heard. */
export interface KeywordHit {
  keyword: string;
  /** Encoder frames of its first and last token. */
  startFrame: number;
  endFrame: number;
  /** Geometric mean of its tokens' probabilities. */
  score: number;
}

/**
 * Reads a keyword file of sherpa-onnx: one keyword a line, `tok tok … :boost #threshold @phrase`, the last
 * three optional. A boost shifts scores of a beam search; greedy decoding has none and takes no notice of it.
 *
 * @throws RillError `bad-model` with the line, for tokens that the model does not have and numbers that are none.
 */
export function parseKeywords(text: string, tokens: TokenTable): Keyword[] {
  const keywords: Keyword[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const words = line.split(/\s+/).filter(Boolean);
    if (words.length === 0) {
      continue;
    }
    const bad = (got: string, expected: string) =>
      new RillError('bad-model', {
        got: `${got} on line ${index + 1} of the keywords`,
        expected,
        remedy: 'A line is the keyword’s tokens, then optionally :boost, #threshold and @phrase.',
      });
    const ids: number[] = [];
    let threshold = DEFAULT_THRESHOLD;
    let phrase: string | undefined;
    for (const word of words) {
      const id = tokens.idOf(word);
      const rest = word.slice(1);
      if (id !== undefined && phrase === undefined) {
        ids.push(id);
      } else if (word.startsWith('@') && rest) {
        phrase = rest.replaceAll('_', ' ');
      } else if (/^[:#]/.test(word) && rest && Number.isFinite(Number(rest))) {
        threshold = word.startsWith('#') ? Number(rest) : threshold;
      } else {
        throw bad(JSON.stringify(word), 'a token of tokens.txt');
      }
    }
    if (ids.length === 0) {
      throw bad('no token', 'at least one');
    }
    keywords.push({ phrase: phrase ?? tokens.text(ids), tokens: ids, threshold });
  }
  return keywords;
}

/** Reports keywords in a stream of decoded tokens: all of a keyword's tokens, one right after the other. */
export class KeywordReport {
  readonly #keywords: readonly Keyword[];
  readonly #longest: number;
  #recent: DecodedToken[] = [];

  constructor(keywords: readonly Keyword[]) {
    this.#keywords = keywords;
    this.#longest = Math.max(0, ...keywords.map(({ tokens }) => tokens.length));
  }

  /** Takes the next tokens and returns the keywords that end with them; the longest, where several do. */
  accept(tokens: readonly DecodedToken[]): KeywordHit[] {
    const hits: KeywordHit[] = [];
    for (const token of tokens) {
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

  #match({ phrase, tokens, threshold }: Keyword): { hit: KeywordHit; length: number } | undefined {
    const heard = this.#recent.slice(-tokens.length);
    if (heard.length < tokens.length || heard.some(({ id }, i) => id !== tokens[i])) {
      return undefined;
    }
    const score = Math.exp(heard.reduce((sum, { logProb }) => sum + logProb, 0) / heard.length);
    if (score < threshold) {
      return undefined;
    }
    const hit = { keyword: phrase, startFrame: heard[0].frame, endFrame: heard[heard.length - 1].frame, score };
    return { hit, length: tokens.length };
  }
}
