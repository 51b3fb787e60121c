/** A decoded token and the encoder frame it was decoded on, counted from the start of the stream. */
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
  /** Frames since the one that the last of the best tokens stands on. */
  readonly trailingBlanks: number;
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
