import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { list, optional, real, record, text, whole, type Field } from '../snapshot/fields.ts';
import { checkSearchNumbers, tokenField, type DecodedToken, type Decoder, type SearchOptions } from './decoder.ts';

/** Score that a keyword must reach, unless its line says otherwise. docs/keywords.md has the curves. */
export const DEFAULT_KEYWORD_THRESHOLD = 0.5;
/** Probability that the token of a phrase must reach, unless its line says otherwise. docs/teaching.md has figures. */
export const DEFAULT_PHRASE_THRESHOLD = 0.2;
/** Encoder frames (0.6 s) from one time that a phrase is heard to the next, at least. */
export const PHRASE_GAP_FRAMES = 15;
const DEFAULT_KEYWORDS_SCORE = 1;
const DEFAULT_TRAILING_BLANKS = 1;
/** Encoder frames (1.5 s) without a token after which the beginning of a keyword is forgotten. */
export const FORGET_AFTER_FRAMES = 37;

/** A line of a keyword file. */
export interface Keyword {
  /** What is reported: the `@phrase` of its line, underscores read as spaces, or the text of its tokens. */
  phrase: string;
  /** Ids of the tokens that spell it. */
  tokens: readonly number[];
  /**
   * Whether it is a phrase that the model was taught, one token: a spotter over the CTC head hears it by that token's
   * probability, which is its score.
   */
  isPhrase?: boolean;
  /** Score that it must reach, 0 to 1; the reader's default where its line has none, 0.2 for a phrase that was taught. */
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
  /** How much it is to be believed, 0 to 1. What it is made of is up to the search. */
  score: number;
}

/** A hit in a snapshot. */
export const hitField: Field<KeywordHit> = record({
  keyword: text,
  startFrame: whole(),
  endFrame: whole(),
  score: real,
});

/** How to look for keywords. */
export interface SpotterOptions extends SearchOptions {
  /** Paths that a search over the transducer keeps from frame to frame; 4 by default. */
  maxActivePaths?: number;
  /** What a keyword is favoured by, in natural logarithms for each token, where its line has no boost; 1 by default. */
  keywordsScore?: number;
  /** Score that a keyword must reach, where its line has no threshold; 0.5 by default. */
  keywordsThreshold?: number;
  /** Blanks that must follow a keyword; it fires with the one after. 1 by default. */
  numTrailingBlanks?: number;
}

/** Fills in defaults. @throws RillError `bad-argument` for numbers out of range. */
export function resolveSpotterOptions(options: SpotterOptions) {
  const {
    keywordsScore = DEFAULT_KEYWORDS_SCORE,
    keywordsThreshold = DEFAULT_KEYWORD_THRESHOLD,
    numTrailingBlanks = DEFAULT_TRAILING_BLANKS,
    blankPenalty = 0,
    ...rest
  } = options;
  const { maxActivePaths } = rest;
  checkSearchNumbers({ keywordsScore, keywordsThreshold, numTrailingBlanks, maxActivePaths, blankPenalty });
  return { ...rest, keywordsScore, keywordsThreshold, numTrailingBlanks, blankPenalty };
}

/** A search for keywords: what it hears is taken from it. */
export interface KeywordDecoder extends Decoder {
  /** Keywords that fired since the last call. */
  takeHits: () => KeywordHit[];
  /** Nothing follows: keywords that wait for a longer one fire now. */
  finish: () => void;
}

export const isKeywordDecoder = (decoder: Decoder): decoder is KeywordDecoder => 'takeHits' in decoder;

/** Where the tokens of one keyword stand within those of another that is longer: the tokens before them; -1 for nowhere. */
export function placeWithin({ tokens: inner }: Keyword, { tokens: outer }: Keyword): number {
  if (inner.length >= outer.length) {
    return -1;
  }
  return outer.findIndex((_, start) => inner.every((id, i) => outer[start + i] === id));
}

/** A keyword that the last tokens have said, and how many tokens ago it began. */
interface Match {
  hit: KeywordHit;
  begun: number;
}

/**
 * Reports keywords in a stream of decoded tokens: all of a keyword's tokens, one right after the other, their mean
 * probability being the score. Of keywords within one another the longest that is said counts: a shorter one waits while
 * the longer may still come. No token counts for two hits.
 */
export class KeywordReport {
  readonly #keywords: readonly Keyword[];
  readonly #longest: number;
  /** The last tokens that may be part of a hit. */
  #recent: DecodedToken[] = [];
  #waiting: Match | undefined;
  /** Frame at which each phrase was heard last. */
  #phraseFrames = new Map<Keyword, number>();

  constructor(keywords: readonly Keyword[]) {
    this.#keywords = keywords;
    this.#longest = keywords.reduce((longest, { tokens }) => Math.max(longest, tokens.length), 0);
  }

  /**
   * Takes the next tokens.
   *
   * @param frame the frame until which there are no others; that of the last token by default
   * @returns the keywords that are decided with them
   */
  accept(tokens: readonly DecodedToken[], frame = -Infinity): KeywordHit[] {
    const hits = this.#longest > 0 ? tokens.flatMap((token) => this.#take(token)) : [];
    return [...hits, ...this.#forget(frame)];
  }

  /** Nothing follows. @returns the keywords that have waited for longer ones */
  finish(): KeywordHit[] {
    return this.#forget(Infinity);
  }

  /** Writes what was said and is not decided. */
  save(to: SnapshotWriter): void {
    const phraseFrames = this.#keywords.map((keyword) => this.#phraseFrames.get(keyword));
    this.#state.write(to, { recent: this.#recent, waiting: this.#waiting, phraseFrames });
  }

  /** Goes on where another for the same keywords was saved. @throws RillError `bad-snapshot`. */
  restore(from: SnapshotReader): void {
    const { recent, waiting, phraseFrames } = this.#state.read(from);
    this.#recent = recent;
    this.#waiting = waiting;
    this.#phraseFrames = new Map(
      phraseFrames.flatMap((frame, i) => (frame === undefined ? [] : [[this.#keywords[i], frame]])),
    );
  }

  get #state() {
    return record({
      // Tokens are compared, and never looked up.
      recent: list(tokenField(Infinity)),
      waiting: optional(record({ hit: hitField, begun: whole() })),
      phraseFrames: list(optional(whole()), this.#keywords.length),
    });
  }

  #take(token: DecodedToken): KeywordHit[] {
    const hits = this.#forget(token.frame);
    this.#recent = [...this.#recent, token].slice(-this.#longest);
    const waiting = this.#waiting && { ...this.#waiting, begun: this.#waiting.begun + 1 };
    this.#waiting = waiting;
    const match = this.#match();
    if (!match || match.begun < (waiting?.begun ?? 0)) {
      // What is said within a longer keyword is heard again if that one comes to nothing.
      return waiting && !this.#mayGrow(waiting) ? [...hits, ...this.#decide()] : hits;
    }
    if (this.#mayGrow(match)) {
      this.#waiting = match;
      return hits;
    }
    this.#recent = [];
    this.#waiting = undefined;
    return [...hits, match.hit];
  }

  /** Tells the keyword that waits, and hears the tokens behind it again. */
  #decide(): KeywordHit[] {
    if (!this.#waiting) {
      return [];
    }
    const { hit } = this.#waiting;
    const behind = this.#recent.filter(({ frame }) => frame > hit.endFrame);
    this.#recent = [];
    this.#waiting = undefined;
    return [hit, ...behind.flatMap((token) => this.#take(token))];
  }

  /** Decides and drops what was said too long before a frame. */
  #forget(frame: number): KeywordHit[] {
    const hits: KeywordHit[] = [];
    const last = this.#recent.at(-1);
    if (last && frame - last.frame > FORGET_AFTER_FRAMES) {
      while (this.#waiting) {
        hits.push(...this.#decide());
      }
      this.#recent = [];
    }
    return hits;
  }

  /** The longest keyword that the last tokens say. */
  #match(): Match | undefined {
    const matches = this.#keywords.flatMap((keyword) => {
      const { phrase, tokens, isPhrase } = keyword;
      const { threshold = isPhrase ? DEFAULT_PHRASE_THRESHOLD : DEFAULT_KEYWORD_THRESHOLD } = keyword;
      const heard = this.#recent.slice(-tokens.length);
      if (heard.length < tokens.length || heard.some(({ id }, i) => id !== tokens[i])) {
        return [];
      }
      const score = heard.reduce((sum, { logProb }) => sum + Math.exp(logProb), 0) / heard.length;
      const hit = { keyword: phrase, startFrame: heard[0].frame, endFrame: heard[heard.length - 1].frame, score };
      if (score < threshold || (isPhrase && !this.#isPhraseDue(keyword, hit))) {
        return [];
      }
      return [{ hit, begun: heard.length }];
    });
    return matches.sort((a, b) => b.begun - a.begun).at(0);
  }

  /** Whether a phrase was not heard just before. */
  #isPhraseDue(keyword: Keyword, { endFrame }: KeywordHit): boolean {
    const before = this.#phraseFrames.get(keyword) ?? -Infinity;
    if (endFrame - before < PHRASE_GAP_FRAMES) {
      return false;
    }
    this.#phraseFrames.set(keyword, endFrame);
    return true;
  }

  /** Whether the tokens since a match began, or since before it, are the beginning of a longer keyword. */
  #mayGrow({ begun }: Match): boolean {
    const recent = this.#recent;
    for (const { tokens } of this.#keywords) {
      for (let count = begun; count < tokens.length && count <= recent.length; count++) {
        if (recent.slice(-count).every(({ id }, i) => id === tokens[i])) {
          return true;
        }
      }
    }
    return false;
  }
}
