import { JOINER_ENCODER_PROJ, logSoftmax, type TransducerJoiner } from '../head/transducer.ts';
import { argMax, type DecodedToken, type Decoder, type DecoderEnding, type SearchOptions } from './decoder.ts';

/** A fresh hypothesis starts from the context [-1, …, blank]. */
export function initialContext({ contextSize }: { contextSize: number }, blankId: number): number[] {
  return [...Array<number>(contextSize - 1).fill(-1), blankId];
}

/** Transducer greedy search, at most one symbol per frame (icefall's beam_search.py, greedy_search). */
export class GreedySearchDecoder implements Decoder {
  readonly input = JOINER_ENCODER_PROJ;
  readonly #joiner: TransducerJoiner;
  readonly #options: SearchOptions;
  readonly #tokens: DecodedToken[] = [];
  #context: readonly number[];
  #frame = 0;
  #logProb = 0;

  /** @param context the last tokens of what came before; a fresh start by default */
  constructor(
    joiner: TransducerJoiner,
    options: SearchOptions,
    context: readonly number[] = initialContext(joiner, options.blankId),
  ) {
    this.#joiner = joiner;
    this.#options = options;
    this.#context = context;
  }

  get tokens(): readonly DecodedToken[] {
    return this.#tokens;
  }

  get settled(): number {
    return this.#tokens.length;
  }

  get ending(): DecoderEnding {
    return { tokens: this.#context };
  }

  get logProb(): number {
    return this.#logProb;
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return this.#frame - (this.#tokens.at(-1)?.frame ?? -1) - 1;
  }

  /** @param encoderProj (frames, joiner_dim) */
  accept(encoderProj: Float32Array): void {
    const { blankId, unkId, blankPenalty = 0 } = this.#options;
    const { joinerDim, vocabSize } = this.#joiner;
    for (let start = 0; start < encoderProj.length; start += joinerDim) {
      const frame = encoderProj.subarray(start, start + joinerDim);
      const logits = this.#joiner.logits(frame, this.#joiner.decoderProj(this.#context));
      const logProbs = logSoftmax(logits, blankId, blankPenalty);
      const id = argMax(logProbs, 0, vocabSize);
      if (id !== blankId && id !== unkId) {
        this.#tokens.push({ id, frame: this.#frame, logProb: logProbs[id] });
        this.#context = [...this.#context.slice(1), id];
      }
      this.#logProb += logProbs[id];
      this.#frame++;
    }
  }
}
