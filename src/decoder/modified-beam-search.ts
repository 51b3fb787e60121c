import { JOINER_ENCODER_PROJ, logSoftmax, type TransducerJoiner } from '../head/transducer.ts';
import type { ContextGraph, ContextState } from './context-graph.ts';
import type { DecodedToken, Decoder, SearchOptions } from './decoder.ts';
import { chainTokens, commonChain, extendChain, largest, logAdd, sameTokens, type TokenChain } from './token-chain.ts';
import { initialContext } from './transducer.ts';

/** One of the active paths. */
interface Path {
  /** The last tokens, as the joiner's decoder sees them. */
  context: readonly number[];
  tokens: TokenChain;
  logProb: number;
  hotwords: ContextState | undefined;
}

export interface BeamSearchOptions extends SearchOptions {
  /** Paths kept from frame to frame. */
  maxActivePaths?: number;
  /** Phrases to favour. */
  hotwords?: ContextGraph;
}

export const DEFAULT_ACTIVE_PATHS = 4;

/**
 * Streaming modified beam search: at most one symbol per frame, equal sequences merged by log-add, the best by
 * length-normalised score (icefall's beam_search.py, modified_beam_search). Paths carry over chunks.
 */
export class ModifiedBeamSearchDecoder implements Decoder {
  readonly input = JOINER_ENCODER_PROJ;
  readonly #joiner: TransducerJoiner;
  readonly #options: BeamSearchOptions;
  #paths: Path[];
  #frame = 0;

  /** @param context the last tokens of what came before; a fresh start by default */
  constructor(
    joiner: TransducerJoiner,
    options: BeamSearchOptions,
    context: readonly number[] = initialContext(joiner, options.blankId),
  ) {
    this.#joiner = joiner;
    this.#options = options;
    this.#paths = [{ context, tokens: undefined, logProb: 0, hotwords: options.hotwords?.root }];
  }

  get tokens(): readonly DecodedToken[] {
    return chainTokens(this.#best().tokens);
  }

  /** Tokens that all active paths have in common. */
  get settled(): number {
    return this.#paths.map(({ tokens }) => tokens).reduce(commonChain)?.length ?? 0;
  }

  get logProb(): number {
    return this.#best().logProb;
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return this.#frame - (this.#best().tokens?.token.frame ?? -1) - 1;
  }

  /** @param encoderProj (frames, joiner_dim) */
  accept(encoderProj: Float32Array): void {
    const { joinerDim } = this.#joiner;
    for (let start = 0; start < encoderProj.length; start += joinerDim) {
      this.#advance(encoderProj.subarray(start, start + joinerDim));
      this.#frame++;
    }
  }

  #best(): Path {
    // The initial context counts as tokens, as in icefall; a hotword that is not complete has earned nothing.
    const score = ({ tokens, logProb, hotwords }: Path) =>
      (logProb - (hotwords?.pending ?? 0)) / ((tokens?.length ?? 0) + this.#joiner.contextSize);
    return this.#paths.reduce((best, path) => (score(path) > score(best) ? path : best));
  }

  #advance(encoderProj: Float32Array): void {
    const { blankId, unkId, blankPenalty = 0, maxActivePaths = DEFAULT_ACTIVE_PATHS, hotwords } = this.#options;
    const extensions = this.#paths.flatMap((path) => {
      const logits = this.#joiner.logits(encoderProj, this.#joiner.decoderProj(path.context));
      const logProbs = logSoftmax(logits, blankId, blankPenalty);
      return largest(logProbs, maxActivePaths).map((id) => ({
        path,
        id,
        own: logProbs[id],
        total: path.logProb + logProbs[id],
      }));
    });
    extensions.sort((a, b) => b.total - a.total);
    const paths: Path[] = [];
    for (const { path, id, own, total } of extensions.slice(0, maxActivePaths)) {
      const next: Path = { ...path, logProb: total };
      if (id !== blankId && id !== unkId) {
        next.context = [...path.context.slice(1), id];
        next.tokens = extendChain(path.tokens, { id, frame: this.#frame, logProb: own });
        if (hotwords && path.hotwords) {
          const { state, score } = hotwords.advance(path.hotwords, id);
          next.hotwords = state;
          next.logProb += score;
        }
      }
      const equal = paths.find(({ tokens }) => sameTokens(tokens, next.tokens));
      if (equal) {
        equal.logProb = logAdd(equal.logProb, next.logProb);
      } else {
        paths.push(next);
      }
    }
    this.#paths = paths;
  }
}
