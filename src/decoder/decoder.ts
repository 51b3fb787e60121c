import type { HeadOutput } from '../encoder/outputs.ts';
import { RillError } from '../errors.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { logarithm, record, whole, type Field } from '../snapshot/fields.ts';

/** A decoded token and the encoder frame it was decoded on, counted from where its decoder began. */
export interface DecodedToken {
  id: number;
  frame: number;
  /** Natural logarithm of its probability on that frame. */
  logProb: number;
}

/** A search over the frames of one stream, chunk by chunk. */
export interface Decoder {
  /** The output of a step that it reads. */
  readonly input: HeadOutput;
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
  /** Writes where it stands. */
  save: (to: SnapshotWriter) => void;
  /**
   * Goes on where another stood that was made of the same model, options and phrases.
   *
   * @throws RillError `bad-snapshot`.
   */
  restore: (from: SnapshotReader) => void;
}

/** Where a search stood at the end of a segment. */
export interface DecoderEnding {
  /** Its last tokens, as many as matter to the next. */
  tokens: readonly number[];
  /** CTC: the token that the last frame was in the middle of; its next frame would not be a new one. */
  held?: number;
}

/** What a token may earn or lose; one log-probability is hardly below -50, and sums of huge boosts would be no numbers. */
export const MAX_BOOST = 1000;

/** What a search can work with. */
const RANGES = [
  { name: 'maxActivePaths', least: 1, most: 1000, whole: true },
  { name: 'numTrailingBlanks', least: 0, most: 1000, whole: true },
  { name: 'keywordsThreshold', least: 0, most: 1, whole: false },
  { name: 'keywordsScore', least: -MAX_BOOST, most: MAX_BOOST, whole: false },
  { name: 'hotwordsScore', least: -MAX_BOOST, most: MAX_BOOST, whole: false },
  { name: 'blankPenalty', least: -MAX_BOOST, most: MAX_BOOST, whole: false },
] as const;

type SearchNumbers = Partial<Record<(typeof RANGES)[number]['name'], number>>;

/** @throws RillError `bad-argument` for a number out of the range that a search can work with. */
export function checkSearchNumbers(numbers: SearchNumbers): void {
  for (const { name, least, most, whole } of RANGES) {
    const value = numbers[name];
    if (value !== undefined && !(value >= least && value <= most && (!whole || Number.isInteger(value)))) {
      throw new RillError('bad-argument', {
        got: `${name}: ${value}`,
        expected: `a ${whole ? 'whole ' : ''}number from ${least} to ${most}`,
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

/** A token's id in a snapshot. @param least -1 where there may be none */
export const tokenIdField = (vocabSize: number, least = 0): Field<number> => whole({ least, most: vocabSize - 1 });

/** A decoded token in a snapshot. */
export const tokenField = (vocabSize: number): Field<DecodedToken> =>
  record({ id: tokenIdField(vocabSize), frame: whole(), logProb: logarithm });

/** Whether a token says nothing: the blank, or `<unk>`. */
export const countsAsBlank = ({ blankId, unkId }: Pick<SearchOptions, 'blankId' | 'unkId'>, id: number) =>
  id === blankId || id === unkId;

/** The index of the largest value, the first of equal ones. */
export function argMax(values: Float32Array): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) {
    if (values[k] > values[best]) {
      best = k;
    }
  }
  return best;
}
