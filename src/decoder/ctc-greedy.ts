import { CTC_LOG_PROBS, CTC_TOKENS, type HeadOutput } from '../encoder/outputs.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { list, logarithm, record, whole } from '../snapshot/fields.ts';
import {
  argMax,
  countsAsBlank,
  tokenField,
  tokenIdField,
  type DecodedToken,
  type Decoder,
  type DecoderEnding,
  type SearchOptions,
} from './decoder.ts';

/**
 * Streaming CTC greedy search: the most probable token of each frame, repeats merged, blanks dropped. A token
 * stands on the first frame of its run.
 */
abstract class CtcGreedy implements Decoder {
  abstract readonly input: HeadOutput;
  protected readonly options: SearchOptions;
  #tokens: DecodedToken[] = [];
  #previous: number;
  #frame = 0;
  #trailingBlanks = 0;
  #logProb = 0;

  /** @param held the token that the frame before the first was in the middle of */
  constructor(options: SearchOptions, held = options.blankId) {
    this.options = options;
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

  abstract accept(output: Float32Array): void;

  save(to: SnapshotWriter): void {
    this.#state.write(to, {
      tokens: this.#tokens,
      previous: this.#previous,
      frame: this.#frame,
      trailingBlanks: this.#trailingBlanks,
      logProb: this.#logProb,
    });
  }

  restore(from: SnapshotReader): void {
    const state = this.#state.read(from);
    this.#tokens = state.tokens;
    this.#previous = state.previous;
    this.#frame = state.frame;
    this.#trailingBlanks = state.trailingBlanks;
    this.#logProb = state.logProb;
  }

  get #state() {
    const { vocabSize } = this.options;
    return record({
      tokens: list(tokenField(vocabSize)),
      previous: tokenIdField(vocabSize),
      frame: whole(),
      trailingBlanks: whole(),
      logProb: logarithm,
    });
  }

  /** The choice of the next frame. */
  protected take(id: number, logProb: number): void {
    const isBlank = countsAsBlank(this.options, id);
    if (!isBlank && id !== this.#previous) {
      this.#tokens.push({ id, frame: this.#frame, logProb });
    }
    this.#trailingBlanks = isBlank ? this.#trailingBlanks + 1 : 0;
    this.#previous = id;
    this.#logProb += logProb;
    this.#frame++;
  }
}

/** The search on the CPU. */
export class CtcGreedyDecoder extends CtcGreedy {
  readonly input = CTC_LOG_PROBS;

  /** @param logProbs (frames, vocab_size) */
  override accept(logProbs: Float32Array): void {
    const { vocabSize, blankId, blankPenalty = 0 } = this.options;
    for (let start = 0; start < logProbs.length; start += vocabSize) {
      let frame = logProbs.subarray(start, start + vocabSize);
      if (blankPenalty !== 0) {
        frame = frame.slice();
        frame[blankId] -= blankPenalty;
      }
      const id = argMax(frame);
      this.take(id, logProbs[start + id]);
    }
  }
}

/** The same search where CtcGreedyHead has chosen on the GPU: its choices are only merged. */
export class CtcTokensDecoder extends CtcGreedy {
  readonly input = CTC_TOKENS;

  /** @param picked (frames, 2) of token and log-probability */
  override accept(picked: Float32Array): void {
    for (let start = 0; start < picked.length; start += 2) {
      this.take(picked[start], picked[start + 1]);
    }
  }
}
