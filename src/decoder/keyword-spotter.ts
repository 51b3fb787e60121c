import { JOINER_ENCODER_PROJ, initialContext, type TransducerJoiner } from '../head/transducer.ts';
import { extendPaths, mergePaths, type BeamPath } from './beam.ts';
import { ContextGraph, type ContextState } from './context-graph.ts';
import {
  checkSearchNumbers,
  countsAsBlank,
  type DecodedToken,
  type Decoder,
  type DecoderEnding,
  type SearchOptions,
} from './decoder.ts';
import { DEFAULT_KEYWORD_THRESHOLD, FORGET_AFTER_FRAMES, type Keyword, type KeywordHit } from './keywords.ts';
import { chainTokens, extendChain } from './token-chain.ts';

export interface SpotterOptions extends SearchOptions {
  /** Paths kept from frame to frame. */
  maxActivePaths?: number;
  /** Added to a path for each token of a keyword, where its line has no boost. */
  keywordsScore?: number;
  /** Mean token probability that a keyword must reach, where its line has no threshold. */
  keywordsThreshold?: number;
  /** Blanks that must follow a keyword; it fires with the one after. */
  numTrailingBlanks?: number;
}

const DEFAULT_KEYWORDS_SCORE = 1;
const DEFAULT_TRAILING_BLANKS = 1;

interface Phrase extends Keyword {
  score: number;
}

interface Path extends BeamPath {
  /** How much of which keyword the path is in; its tokens are those since it last was outside all of them. */
  keyword: ContextState<Phrase>;
  trailingBlanks: number;
}

/**
 * Open-vocabulary keyword spotting over the transducer: a beam search in which every token that continues a
 * keyword earns a bonus, and a path that leaves all keywords starts over. A keyword fires when the best path
 * ends in it, blanks have followed, and its tokens were probable enough (sherpa-onnx's keyword spotter).
 */
export class KeywordSpotterDecoder implements Decoder {
  readonly input = JOINER_ENCODER_PROJ;
  /** None: a keyword that is under way can still come to nothing. */
  readonly settled = 0;
  readonly #joiner: TransducerJoiner;
  readonly #options: SpotterOptions;
  readonly #graph: ContextGraph<Phrase>;
  #paths: Path[];
  #hits: KeywordHit[] = [];
  #frame = 0;

  constructor(joiner: TransducerJoiner, keywords: readonly Keyword[], options: SpotterOptions) {
    const {
      keywordsScore = DEFAULT_KEYWORDS_SCORE,
      keywordsThreshold,
      numTrailingBlanks,
      maxActivePaths,
      blankPenalty,
    } = options;
    checkSearchNumbers({ keywordsScore, keywordsThreshold, numTrailingBlanks, maxActivePaths, blankPenalty });
    this.#joiner = joiner;
    this.#options = options;
    this.#graph = new ContextGraph(keywords.map((keyword) => ({ ...keyword, score: keyword.boost ?? keywordsScore })));
    this.#paths = [this.#fresh()];
  }

  /** Tokens of the keyword that the best path is in. */
  get tokens(): readonly DecodedToken[] {
    return chainTokens(this.#best().tokens);
  }

  get ending(): DecoderEnding {
    return { tokens: [] };
  }

  get logProb(): number {
    return this.#best().logProb;
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return this.#best().trailingBlanks;
  }

  /** Keywords that fired since the last call. */
  takeHits(): KeywordHit[] {
    return this.#hits.splice(0);
  }

  /** @param encoderProj (frames, joiner_dim) */
  accept(encoderProj: Float32Array): void {
    const { joinerDim } = this.#joiner;
    for (let start = 0; start < encoderProj.length; start += joinerDim) {
      this.#advance(encoderProj.subarray(start, start + joinerDim));
      this.#fire();
      this.#frame++;
    }
  }

  #fresh(): Path {
    return {
      context: initialContext(this.#joiner, this.#options.blankId),
      tokens: undefined,
      keyword: this.#graph.root,
      logProb: 0,
      trailingBlanks: 0,
    };
  }

  #best(): Path {
    return this.#paths.reduce((best, path) => (path.logProb > best.logProb ? path : best));
  }

  #advance(encoderProj: Float32Array): void {
    const paths = extendPaths(this.#joiner, this.#paths, encoderProj, this.#options).map(({ path, id, own, total }) =>
      countsAsBlank(this.#options, id)
        ? { ...path, logProb: total, trailingBlanks: path.trailingBlanks + 1 }
        : this.#extend(path, { id, frame: this.#frame, logProb: own }, total),
    );
    this.#paths = mergePaths(paths);
  }

  #extend(path: Path, token: DecodedToken, total: number): Path {
    const state = this.#graph.advance(path.keyword, token.id);
    // One score for each token and no more: were the whole phrase rewarded again at its end, as hotwords are, a
    // first token of any probability would pay in silence, since the decoder foretells the others well.
    const score = state.pending - path.keyword.pending;
    if (state.depth === 0) {
      return { ...this.#fresh(), logProb: total + score };
    }
    return {
      context: [...path.context.slice(1), token.id],
      tokens: extendChain(path.tokens, token),
      keyword: state,
      logProb: total + score,
      trailingBlanks: 0,
    };
  }

  /** Reports the keyword that the best path ends in, if it is time, and forgets the paths. */
  #fire(): void {
    const { keywordsThreshold = DEFAULT_KEYWORD_THRESHOLD, numTrailingBlanks = DEFAULT_TRAILING_BLANKS } =
      this.#options;
    const best = this.#best();
    const { matched } = best.keyword;
    if (matched && best.trailingBlanks > numTrailingBlanks) {
      const heard = chainTokens(best.tokens).slice(-matched.tokens.length);
      const score = heard.reduce((sum, { logProb }) => sum + Math.exp(logProb), 0) / heard.length;
      if (score >= (matched.threshold ?? keywordsThreshold)) {
        const [first, last] = [heard[0], heard[heard.length - 1]];
        this.#hits.push({ keyword: matched.phrase, startFrame: first.frame, endFrame: last.frame, score });
        this.#paths = [this.#fresh()];
        return;
      }
    }
    if (best.trailingBlanks > FORGET_AFTER_FRAMES) {
      this.#paths = [this.#fresh()];
    }
  }
}
