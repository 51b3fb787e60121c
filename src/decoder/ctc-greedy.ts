/** A decoded token and the encoder frame it was decoded on, counted from the start of the stream. */
export interface DecodedToken {
  id: number;
  frame: number;
  /** Natural logarithm of its probability on that frame. */
  logProb: number;
}

/**
 * Streaming CTC greedy search: the most probable token of each frame, repeats merged, blanks dropped. A token
 * stands on the first frame of its run.
 */
export class CtcGreedyDecoder {
  readonly #vocabSize: number;
  readonly #blankId: number;
  #previous: number;
  #frame = 0;
  #trailingBlanks = 0;

  constructor({ vocabSize, blankId }: { vocabSize: number; blankId: number }) {
    this.#vocabSize = vocabSize;
    this.#blankId = blankId;
    this.#previous = blankId;
  }

  /** Frames decoded so far. */
  get frames(): number {
    return this.#frame;
  }

  /** Frames since the last one that was not blank. */
  get trailingBlanks(): number {
    return this.#trailingBlanks;
  }

  /**
   * Decodes the next frames.
   *
   * @param logProbs (frames, vocab_size)
   * @returns the tokens that begin on them
   */
  accept(logProbs: Float32Array): DecodedToken[] {
    const tokens: DecodedToken[] = [];
    for (let start = 0; start < logProbs.length; start += this.#vocabSize) {
      let id = 0;
      for (let k = 1; k < this.#vocabSize; k++) {
        if (logProbs[start + k] > logProbs[start + id]) {
          id = k;
        }
      }
      if (id !== this.#blankId && id !== this.#previous) {
        tokens.push({ id, frame: this.#frame, logProb: logProbs[start + id] });
      }
      this.#trailingBlanks = id === this.#blankId ? this.#trailingBlanks + 1 : 0;
      this.#previous = id;
      this.#frame++;
    }
    return tokens;
  }
}
