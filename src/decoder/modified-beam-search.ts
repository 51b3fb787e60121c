import { JOINER_ENCODER_PROJ } from '../encoder/outputs.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { logarithm, record, whole } from '../snapshot/fields.ts';
import { DEFAULT_ACTIVE_PATHS, contextField, extendPaths, mergePaths, type BeamPath } from './beam.ts';
import { phrasesField, type ContextGraph, type ContextState } from './context-graph.ts';
import { countsAsBlank, type DecodedToken, type Decoder, type DecoderEnding, type SearchOptions } from './decoder.ts';
import { initialContext, type TransducerJoiner } from './joiner.ts';
import { chainTokens, commonChain, extendChain, pathsField } from './token-chain.ts';

interface Path extends BeamPath {
  /** How much of which hotwords has been matched. */
  hotwords: ContextState | undefined;
}

export interface BeamSearchOptions extends SearchOptions {
  /** Paths kept from frame to frame. */
  maxActivePaths?: number;
  /** Phrases to favour. */
  hotwords?: ContextGraph;
}

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

  get ending(): DecoderEnding {
    return { tokens: this.#best().context };
  }

  /** With what complete hotwords have added; one that is not complete has earned nothing. */
  get logProb(): number {
    const { logProb, hotwords } = this.#best();
    return logProb - (hotwords?.pending ?? 0);
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

  save(to: SnapshotWriter): void {
    this.#state.write(to, { paths: this.#paths, frame: this.#frame });
  }

  restore(from: SnapshotReader): void {
    const { paths, frame } = this.#state.read(from);
    this.#paths = paths;
    this.#frame = frame;
  }

  get #state() {
    const { vocabSize, hotwords, maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#options;
    const path = record({
      context: contextField(this.#joiner),
      logProb: logarithm,
      hotwords: phrasesField(hotwords),
    });
    return record({ paths: pathsField(vocabSize, path, maxActivePaths), frame: whole() });
  }

  #best(): Path {
    // The initial context counts as tokens, as in icefall; a hotword that is not complete has earned nothing.
    const score = ({ tokens, logProb, hotwords }: Path) =>
      (logProb - (hotwords?.pending ?? 0)) / ((tokens?.length ?? 0) + this.#joiner.contextSize);
    return this.#paths.reduce((best, path) => (score(path) > score(best) ? path : best));
  }

  #advance(encoderProj: Float32Array): void {
    const { hotwords } = this.#options;
    const paths = extendPaths(this.#joiner, this.#paths, encoderProj, this.#options).map(({ path, id, own, total }) => {
      const next: Path = { ...path, logProb: total };
      if (!countsAsBlank(this.#options, id)) {
        next.context = [...path.context.slice(1), id];
        next.tokens = extendChain(path.tokens, { id, frame: this.#frame, logProb: own });
        if (hotwords && path.hotwords) {
          const { state, score } = hotwords.favour(path.hotwords, id);
          next.hotwords = state;
          next.logProb += score;
        }
      }
      return next;
    });
    this.#paths = mergePaths(paths);
  }
}
