import { CTC_LOG_PROBS } from '../encoder/outputs.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { list, logarithm, optional, record, whole } from '../snapshot/fields.ts';
import type { DecodedToken, DecoderEnding } from './decoder.ts';
import {
  FORGET_AFTER_FRAMES,
  hitField,
  placeWithin,
  resolveSpotterOptions,
  type Keyword,
  type KeywordDecoder,
  type KeywordHit,
  type SpotterOptions,
} from './keywords.ts';
import { PhraseTracker } from './phrase-tracker.ts';

/** The best path that has come to some place in a keyword. */
interface Place {
  /** Log-probability of the path over that of the best path of all, since it entered the keyword: 0 at the most. */
  ratio: number;
  /** Frames of the keyword's first token and of the last one so far. */
  first: number;
  last: number;
  /** Blanks since the last token. */
  blanks: number;
}

const ENTRANCE: Readonly<Place> = { ratio: 0, first: 0, last: 0, blanks: 0 };
const NOWHERE: Readonly<Place> = { ...ENTRANCE, ratio: -Infinity };

const placeField = record({ ratio: logarithm, first: whole(), last: whole(), blanks: whole() });

const better = (a: Readonly<Place>, b: Readonly<Place>) => (b.ratio > a.ratio ? b : a);

/** Log-probabilities of one frame over that of its best token. */
interface Frame {
  index: number;
  token: (id: number) => number;
  blank: number;
}

/** Follows one keyword. */
class Tracker {
  readonly keyword: Keyword;
  /** A path that falls below this ratio can reach the keyword's score no more. */
  readonly #leastRatio: number;
  readonly #numTrailingBlanks: number;
  /** By token: the best path that is on it, and the best that is on a blank behind it. */
  #spoken: readonly Readonly<Place>[];
  #paused: readonly Readonly<Place>[];
  #waiting: KeywordHit | undefined;

  /** @param leastScore what the keyword must reach */
  constructor(keyword: Keyword, leastScore: number, numTrailingBlanks: number) {
    this.keyword = keyword;
    this.#leastRatio = keyword.tokens.length * Math.log(leastScore);
    this.#numTrailingBlanks = numTrailingBlanks;
    this.#spoken = keyword.tokens.map(() => NOWHERE);
    this.#paused = this.#spoken;
  }

  advance({ index, token, blank }: Frame): void {
    const { tokens } = this.keyword;
    const [spoken, paused] = [this.#spoken, this.#paused];
    const entrance = { ...ENTRANCE, first: index };
    this.#spoken = tokens.map((id, i) => {
      // A token begins behind a blank or behind another token, the first one anywhere on the best path of all.
      const behind = i === 0 ? entrance : better(paused[i - 1], id === tokens[i - 1] ? NOWHERE : spoken[i - 1]);
      return spoken[i].ratio >= behind.ratio
        ? this.#step(spoken[i], token(id))
        : this.#step(behind, token(id), { last: index, blanks: 0 });
    });
    this.#paused = tokens.map((_, i) => {
      const before = better(spoken[i], paused[i]);
      return index - before.last > FORGET_AFTER_FRAMES
        ? NOWHERE
        : this.#step(before, blank, { blanks: before.blanks + 1 });
    });
    this.#wait();
  }

  #wait(): void {
    const { phrase, tokens } = this.keyword;
    const { ratio, first, last, blanks } = this.#paused[tokens.length - 1];
    if (ratio > -Infinity && blanks > this.#numTrailingBlanks) {
      this.#waiting ??= {
        keyword: phrase,
        startFrame: first,
        endFrame: last,
        score: Math.exp(ratio / tokens.length),
      };
    }
  }

  #step(place: Readonly<Place>, ratio: number, changes?: Partial<Place>): Readonly<Place> {
    const sum = place.ratio + ratio;
    return sum < this.#leastRatio || sum === -Infinity ? NOWHERE : { ...place, ...changes, ratio: sum };
  }

  /** The keyword, once it was said well enough and enough blanks have followed; a longer one may still come of it. */
  get waiting(): KeywordHit | undefined {
    return this.#waiting;
  }

  save(to: SnapshotWriter): void {
    this.#state.write(to, { spoken: [...this.#spoken], paused: [...this.#paused], waiting: this.#waiting });
  }

  restore(from: SnapshotReader): void {
    const { spoken, paused, waiting } = this.#state.read(from);
    this.#spoken = spoken;
    this.#paused = paused;
    this.#waiting = waiting;
  }

  get #state() {
    const places = list(placeField, this.keyword.tokens.length);
    return record({ spoken: places, paused: places, waiting: optional(hitField) });
  }

  /** Whether a path is under way that has said so many tokens and began no later than a frame. */
  mayComplete(tokens: number, begunBy: number): boolean {
    return [...this.#spoken.slice(tokens - 1), ...this.#paused.slice(tokens - 1)].some(
      ({ ratio, first }) => ratio > -Infinity && first <= begunBy,
    );
  }

  /** Gives up all paths that began by a frame: what they were made of was told. */
  forget(begunBy: number): void {
    const keep = (place: Place) => (place.first <= begunBy ? NOWHERE : place);
    this.#spoken = this.#spoken.map(keep);
    this.#paused = this.#paused.map(keep);
    if (this.#waiting && this.#waiting.startFrame <= begunBy) {
      this.#waiting = undefined;
    }
  }
}

const STATE = record({ hits: list(hitField), frames: whole(), logProb: logarithm, trailingBlanks: whole() });

/** A keyword's tracker, and those of the keywords that contain it. */
interface Candidate {
  tracker: Tracker;
  /** With the tokens that a longer keyword has said when it has said this one. */
  longer: { tracker: Tracker; tokens: number }[];
}

/**
 * Open-vocabulary keyword spotting over the CTC head. For each keyword the best path that says it, blanks between its tokens
 * (Viterbi), is held against the best path of all over the same frames: `score = exp(log ratio / tokens)`, 1 where
 * nothing is likelier than the keyword. It fires when blanks have followed, the score has reached the threshold, and the
 * path wins with `boost` added for each token, which is to say that the score has reached exp(-boost).
 *
 * Of keywords within one another the longest that is said counts: a shorter one waits while the longer may still come. No
 * sound counts for two hits.
 *
 * Phrases that the model was taught are heard each for itself: {@link PhraseTracker}.
 */
export class CtcKeywordSpotter implements KeywordDecoder {
  readonly input = CTC_LOG_PROBS;
  /** None: it looks for keywords only. */
  readonly tokens: readonly DecodedToken[] = [];
  readonly settled = 0;
  readonly ending: DecoderEnding = { tokens: [] };
  readonly #options: ReturnType<typeof resolveSpotterOptions>;
  readonly #candidates: readonly Candidate[];
  readonly #phrases: readonly PhraseTracker[];
  #hits: KeywordHit[] = [];
  #frames = 0;
  #logProb = 0;
  #trailingBlanks = 0;

  /** @throws RillError `bad-argument` for options out of range. */
  constructor(keywords: readonly Keyword[], options: SpotterOptions) {
    this.#options = resolveSpotterOptions(options);
    const { keywordsScore, keywordsThreshold, numTrailingBlanks } = this.#options;
    this.#phrases = keywords.filter(({ isPhrase }) => isPhrase).map((keyword) => new PhraseTracker(keyword));
    const spelled = keywords.filter(({ isPhrase }) => !isPhrase);
    const trackers = spelled.map((keyword) => {
      const { boost = keywordsScore, threshold = keywordsThreshold } = keyword;
      return new Tracker(keyword, Math.max(threshold, Math.exp(-boost)), numTrailingBlanks);
    });
    this.#candidates = trackers.map((tracker) => ({
      tracker,
      longer: trackers.flatMap((other) => {
        const before = placeWithin(tracker.keyword, other.keyword);
        return before < 0 ? [] : [{ tracker: other, tokens: before + tracker.keyword.tokens.length }];
      }),
    }));
  }

  /** Of the best path of all: the sum over all frames. */
  get logProb(): number {
    return this.#logProb;
  }

  get frames(): number {
    return this.#frames;
  }

  get trailingBlanks(): number {
    return this.#trailingBlanks;
  }

  takeHits(): KeywordHit[] {
    return this.#hits.splice(0);
  }

  /** @param logProbs (frames, vocab_size) */
  accept(logProbs: Float32Array): void {
    const { vocabSize } = this.#options;
    for (let start = 0; start < logProbs.length; start += vocabSize) {
      const frame = logProbs.subarray(start, start + vocabSize);
      this.#advance(frame);
      this.#hits.push(...this.#phrases.flatMap((phrase) => phrase.accept(this.#frames, frame) ?? []));
      this.#fire(({ tracker, longer }) => {
        const begunBy = tracker.waiting?.startFrame ?? 0;
        return !longer.some((other) => other.tracker.mayComplete(other.tokens, begunBy));
      });
      this.#frames++;
    }
  }

  finish(): void {
    this.#hits.push(...this.#phrases.flatMap((phrase) => phrase.finish() ?? []));
    this.#fire(() => true);
  }

  save(to: SnapshotWriter): void {
    const [hits, frames, logProb, trailingBlanks] = [this.#hits, this.#frames, this.#logProb, this.#trailingBlanks];
    STATE.write(to, { hits, frames, logProb, trailingBlanks });
    this.#followers.forEach((follower) => {
      follower.save(to);
    });
  }

  restore(from: SnapshotReader): void {
    const { hits, frames, logProb, trailingBlanks } = STATE.read(from);
    this.#hits = hits;
    this.#frames = frames;
    this.#logProb = logProb;
    this.#trailingBlanks = trailingBlanks;
    this.#followers.forEach((follower) => {
      follower.restore(from);
    });
  }

  /** Of each keyword, in their order but phrases last. */
  get #followers() {
    return [...this.#candidates.map(({ tracker }) => tracker), ...this.#phrases];
  }

  #advance(logProbs: Float32Array): void {
    const { blankId, unkId, blankPenalty } = this.#options;
    const blank = Math.max(logProbs[blankId] - blankPenalty, unkId === undefined ? -Infinity : logProbs[unkId]);
    const best = logProbs.reduce((most, value, id) => (id === blankId ? most : Math.max(most, value)), blank);
    const frame = { index: this.#frames, token: (id: number) => logProbs[id] - best, blank: blank - best };
    for (const { tracker } of this.#candidates) {
      tracker.advance(frame);
    }
    this.#trailingBlanks = blank === best ? this.#trailingBlanks + 1 : 0;
    this.#logProb += best;
  }

  /** Reports those that have been heard and need not wait, the most believable first. */
  #fire(isDecided: (candidate: Candidate) => boolean): void {
    for (;;) {
      const decided = this.#candidates.filter((candidate) => candidate.tracker.waiting && isDecided(candidate));
      const [best] = decided.flatMap(({ tracker }) => tracker.waiting ?? []).sort((a, b) => b.score - a.score);
      if (!best) {
        return;
      }
      this.#hits.push(best);
      for (const { tracker } of this.#candidates) {
        tracker.forget(best.endFrame);
      }
    }
  }
}
