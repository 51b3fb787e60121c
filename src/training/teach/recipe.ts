/** What a phrase is taught by: docs/teaching.md has the figures that it reaches. */

/** How many of each kind the pool has, from which all batches are drawn. */
export interface PoolCounts {
  /** The phrase, in ever new surroundings. */
  phrase: number;
  /** What the model knew before. */
  rehearsal: number;
  /** Other speech, of a few seconds. */
  short: number;
  /** Other speech, long enough for the layers' states to be those of a stream. */
  long: number;
}

export const POOL: Readonly<PoolCounts> = { phrase: 240, rehearsal: 80, short: 300, long: 400 };

/** Of each kind in the batch of a step. */
export const BATCH: Readonly<PoolCounts> = { phrase: 4, rehearsal: 2, short: 3, long: 8 };

/** What the sum of a step's losses is divided by. */
export const LOSS_DIVISOR = 9;

/** Seconds of short recordings in the pool, at least, and of long ones. */
export const SHORT_SECONDS = 2.4;
export const LONG_SECONDS = 6;

/** How a phrase is varied: each from, and to. */
export const VARIETY = {
  /** Seconds that are kept before and behind the phrase; below 0 it is cut into. */
  margin: [-0.03, 0.15],
  speed: [0.88, 1.12],
  /** dB. */
  gain: [-12, 6],
  /** dB of full scale. */
  noise: [-80, -38],
  /** dB by which speech beside the phrase is louder. */
  otherSpeech: [-12, 6],
  /** Seconds between what is said and the other speech beside it. */
  pause: [0, 1.5],
  /** How much of the phrase there is where it is begun and not ended. */
  begun: [0.3, 0.55],
} as const satisfies Record<string, readonly [number, number]>;

/** How many phrases follow other speech. */
export const OTHER_SPEECH_SHARE = 0.4;
/** How many short recordings are phrases that are begun and not ended; as many are what must not be taken for it, where there is any. */
export const BEGUN_SHARE = 0.25;
export const NEGATIVES_SHARE = 0.25;
/** In how many of the long recordings the phrase is said; and in as many what the model knows already. */
export const STREAMED_SHARE = 0.125;

/** How much of the short other speech ends, as a phrase does, with silence after it. */
export const ENDED_SHARE = 0.5;

/** Encoder frames that the token may fall on: from before the phrase's end to behind it. */
export const SPIKE_WINDOW = { before: 1, behind: 8 } as const;
/** Seconds behind the phrase's end that a recording has at least: room for the window. */
export const LEAST_TAIL = 0.4;

/**
 * What the phrase's odds are divided by at the end. In training it is in every third recording, and in life once in hours:
 * this corrects what the network takes its share for. By 3 a take in fifteen was lost with one of six seeds.
 */
export const PRIOR_CORRECTION = 2;

/** Layers that are trained, beside the head: the last ones. */
export const TRAINED_LAYERS = 2;
export const DEFAULT_STEPS = 400;
export const WARMUP_STEPS = 10;
export const LEARNING_RATE = 2e-3;
/** What the head's rate is multiplied by. */
export const HEAD_RATE = 10;
/** Steps from one state that is kept, in case the device is lost, to the next. */
export const KEEP_STEPS = 25;
