import { CTC_LOG_PROBS } from '../head/ctc.ts';
import { argMax, type DecodedToken, type Decoder, type DecoderEnding, type SearchOptions } from './decoder.ts';

/**
 * Streaming CTC greedy search: the most probable token of each frame, repeats merged, blanks dropped. A token
 * stands on the first frame of its run.
 */
export class CtcGreedyDecoder implements Decoder {
  readonly input = CTC_LOG_PROBS;
  readonly #options: SearchOptions;
  readonly #tokens: DecodedToken[] = [];
  #previous: number;
  #frame = 0;
  #trailingBlanks = 0;
  #logProb = 0;

  /** @param held the token that the frame before the first was in the middle of */
  constructor(options: SearchOptions, held = options.blankId) {
    this.#options = options;
    this.#previous = held;
  }

  get ending(): DecoderEnding {
    return { tokens: [], held: this.#previous };
  }

  get tokens(): readonly DecodedToken[] {
    return this.#tokens;
  }

  get settled(): number {
    return this.#tokens.length;
  }

  /** Of the best path: the sum over all frames. */
  get logProb(): number {
    return this.#logProb;
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return this.#trailingBlanks;
  }

  /** @param logProbs (frames, vocab_size) */
  accept(logProbs: Float32Array): void {
    const { vocabSize, blankId, unkId, blankPenalty = 0 } = this.#options;
    for (let start = 0; start < logProbs.length; start += vocabSize) {
      let id = argMax(logProbs, start, vocabSize);
      if (id === blankId && blankPenalty !== 0) {
        const frame = logProbs.slice(start, start + vocabSize);
        frame[blankId] -= blankPenalty;
        id = argMax(frame, 0, vocabSize);
      }
      const logProb = logProbs[start + id];
      const isBlank = id === blankId || id === unkId;
      if (!isBlank && id !== this.#previous) {
        this.#tokens.push({ id, frame: this.#frame, logProb });
      }
      this.#trailingBlanks = isBlank ? this.#trailingBlanks + 1 : 0;
      this.#previous = id;
      this.#logProb += logProb;
      this.#frame++;
    }
  }
}
