import { RillError } from '../errors.ts';

/** A decoded token and the encoder frame it was decoded on, counted from where its decoder began. */
export interface DecodedToken {
  id: number;
  frame: number;
  /** Natural logarithm of its probability on that frame. */
  logProb: number;
}

/** A search over the frames of one stream, chunk by chunk. */
export interface Decoder {
  /** The head's output that it reads, by its name in a step's results. */
  readonly input: string;
  /** Takes the next frames, (frames, width of the input). */
  accept: (values: Float32Array) => void;
  /** The best tokens so far. A beam search may still change them; a greedy one only adds to them. */
  readonly tokens: readonly DecodedToken[];
  /** How many of the best tokens no later frame can change. */
  readonly settled: number;
  /** Log-probability of the best tokens. */
  readonly logProb: number;
  /** Frames taken so far. */
  readonly frames: number;
  /** Blank frames since the last one that was not. */
  readonly trailingBlanks: number;
  /** What a search that goes on from here has to know. */
  readonly ending: DecoderEnding;
}

/** Where a search stood at the end of a segment. */
export interface DecoderEnding {
  /** Its last tokens, as many as matter to the next. */
  tokens: readonly number[];
  /** CTC: the token that the last frame was in the middle of; its next frame would not be a new one. */
  held?: number;
}

const MAX_ACTIVE_PATHS = 1000;
/** What a token may earn or lose; one log-probability is hardly below -50, and sums of huge boosts would be no numbers. */
export const MAX_BOOST = 1000;

/** @throws RillError `bad-argument` for numbers that a search cannot work with. */
export function checkSearchNumbers(numbers: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(numbers)) {
    const isCount = name === 'maxActivePaths';
    const isBoost = name.endsWith('Score') || name === 'blankPenalty';
    const valid = isCount
      ? Number.isInteger(value) && (value ?? 0) >= 1 && (value ?? 0) <= MAX_ACTIVE_PATHS
      : Number.isFinite(value) && (!isBoost || Math.abs(value ?? 0) <= MAX_BOOST);
    if (value !== undefined && !valid) {
      throw new RillError('bad-argument', {
        got: `${name}: ${value}`,
        expected: isCount
          ? `a whole number from 1 to ${MAX_ACTIVE_PATHS}`
          : `a finite number${isBoost ? `, at most ${MAX_BOOST}` : ''}`,
        remedy: 'Leave it out for the default.',
      });
    }
  }
}

/** What searches are told about the tokens. */
export interface SearchOptions {
  vocabSize: number;
  blankId: number;
  /** Counts as blank. */
  unkId?: number;
  /** Subtracted from the blank's logit: more for fewer deletions. */
  blankPenalty?: number;
}

/** The index of the largest of `count` values from `start` on. */
export function argMax(values: Float32Array, start: number, count: number): number {
  let best = 0;
  for (let k = 1; k < count; k++) {
    if (values[start + k] > values[start + best]) {
      best = k;
    }
  }
  return best;
}
