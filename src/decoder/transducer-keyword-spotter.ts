import { JOINER_ENCODER_PROJ } from '../encoder/outputs.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { list, logarithm, optional, record, whole, type Field } from '../snapshot/fields.ts';
import { DEFAULT_ACTIVE_PATHS, contextField, extendPaths, mergePaths, type BeamPath } from './beam.ts';
import { ContextGraph, type ContextState } from './context-graph.ts';
import { countsAsBlank, type DecodedToken, type DecoderEnding } from './decoder.ts';
import { initialContext, type TransducerJoiner } from './joiner.ts';
import {
  FORGET_AFTER_FRAMES,
  hitField,
  resolveSpotterOptions,
  type Keyword,
  type KeywordDecoder,
  type KeywordHit,
  type SpotterOptions,
} from './keywords.ts';
import { chainTokens, extendChain, pathsField } from './token-chain.ts';

type Settings = ReturnType<typeof resolveSpotterOptions>;

interface Phrase extends Keyword {
  score: number;
}

/** Where a path stood when it said one of a keyword's tokens. */
interface Step {
  frame: number;
  /** Log-probability of the path before it, without bonuses, and of the best free path. */
  own: number;
  free: number;
}

interface Path extends BeamPath {
  /** How much of which keyword the path is in; its tokens are those since it last was outside all of them. */
  keyword: ContextState<Phrase>;
  /** One for each token that belongs to the keyword. */
  steps: readonly Step[];
  trailingBlanks: number;
}

const stepsField: Field<readonly Step[]> = list(record({ frame: whole(), own: logarithm, free: logarithm }));

/** Tokens after which free paths forget what they have said: only the last ones matter. */
const FREE_TOKENS = 500;

/** What is likeliest if nobody listens for keywords: a plain beam search. */
class FreePaths {
  readonly #joiner: TransducerJoiner;
  readonly #settings: Settings;
  #paths: readonly BeamPath[];

  constructor(joiner: TransducerJoiner, settings: Settings) {
    this.#joiner = joiner;
    this.#settings = settings;
    this.#paths = [{ context: initialContext(joiner, settings.blankId), tokens: undefined, logProb: 0 }];
  }

  get best(): BeamPath {
    return likeliest(this.#paths);
  }

  /** Whether the best path ends in these tokens, the last of them not before a frame. */
  endsIn(tokens: readonly number[], frame: number): boolean {
    const last = this.best.tokens;
    let node = last;
    for (const id of tokens.toReversed()) {
      if (node?.token.id !== id) {
        return false;
      }
      node = node.before;
    }
    return last !== undefined && last.token.frame >= frame;
  }

  save(to: SnapshotWriter): void {
    this.#state.write(to, [...this.#paths]);
  }

  restore(from: SnapshotReader): void {
    this.#paths = this.#state.read(from);
  }

  get #state() {
    const { vocabSize, maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#settings;
    return pathsField(vocabSize, record({ context: contextField(this.#joiner), logProb: logarithm }), maxActivePaths);
  }

  advance(encoderProj: Float32Array, frame: number): void {
    const { best } = this;
    const isLong = (best.tokens?.length ?? 0) > FREE_TOKENS;
    const from = isLong ? [{ ...best, tokens: undefined }] : this.#paths;
    const paths = extendPaths(this.#joiner, from, encoderProj, this.#settings).map(({ path, id, own, total }) =>
      countsAsBlank(this.#settings, id)
        ? { ...path, logProb: total }
        : {
            context: [...path.context.slice(1), id],
            tokens: extendChain(path.tokens, { id, frame, logProb: own }),
            logProb: total,
          },
    );
    this.#paths = mergePaths(paths);
  }
}

function likeliest<AnyPath extends BeamPath>(paths: readonly AnyPath[]): AnyPath {
  return paths.reduce((best, path) => (path.logProb > best.logProb ? path : best));
}

/**
 * Open-vocabulary keyword spotting over the transducer: a beam search in which every token that continues a keyword earns
 * a bonus, and a path that leaves all keywords starts over (sherpa-onnx's keyword spotter). A keyword fires when the best
 * path ends in it, blanks have followed, and its score has reached the threshold.
 *
 * The score is the keyword's likelihood over that of the best path of a search without bonuses, over the same frames; 1
 * where that search has heard the keyword, too. The mean probability of the tokens, which is sherpa-onnx's score, tells
 * little: where the decoder foretells a word from its first token, all of them but that one are nearly certain.
 *
 * Of keywords within one another the longest that is said counts: a shorter one waits while the longer may still come.
 */
export class TransducerKeywordSpotter implements KeywordDecoder {
  readonly input = JOINER_ENCODER_PROJ;
  /** None: a keyword that is under way can still come to nothing. */
  readonly settled = 0;
  readonly #joiner: TransducerJoiner;
  readonly #settings: Settings;
  readonly #graph: ContextGraph<Phrase>;
  #paths: Path[];
  #free: FreePaths;
  #waiting: KeywordHit | undefined;
  #hits: KeywordHit[] = [];
  #frame = 0;

  /** @throws RillError `bad-argument` for options out of range. */
  constructor(joiner: TransducerJoiner, keywords: readonly Keyword[], options: SpotterOptions) {
    this.#joiner = joiner;
    this.#settings = resolveSpotterOptions(options);
    const { keywordsScore } = this.#settings;
    this.#graph = new ContextGraph(keywords.map((keyword) => ({ ...keyword, score: keyword.boost ?? keywordsScore })));
    this.#paths = [this.#fresh()];
    this.#free = new FreePaths(joiner, this.#settings);
  }

  /** Tokens of the keyword that the best path is in. */
  get tokens(): readonly DecodedToken[] {
    return chainTokens(likeliest(this.#paths).tokens);
  }

  get ending(): DecoderEnding {
    return { tokens: [] };
  }

  get logProb(): number {
    return likeliest(this.#paths).logProb;
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return likeliest(this.#paths).trailingBlanks;
  }

  takeHits(): KeywordHit[] {
    return this.#hits.splice(0);
  }

  /** @param encoderProj (frames, joiner_dim) */
  accept(encoderProj: Float32Array): void {
    const { joinerDim } = this.#joiner;
    for (let start = 0; start < encoderProj.length; start += joinerDim) {
      this.#advance(encoderProj.subarray(start, start + joinerDim));
      this.#look();
      this.#frame++;
    }
  }

  finish(): void {
    if (this.#waiting) {
      this.#fire(this.#waiting);
    }
  }

  save(to: SnapshotWriter): void {
    const [paths, waiting, hits, frame] = [this.#paths, this.#waiting, this.#hits, this.#frame];
    this.#state.write(to, { paths, waiting, hits, frame });
    this.#free.save(to);
  }

  restore(from: SnapshotReader): void {
    const { paths, waiting, hits, frame } = this.#state.read(from);
    const broken = paths.find(({ steps, keyword }) => steps.length !== keyword.depth);
    if (broken) {
      throw badSnapshot(`a path of ${broken.steps.length} steps in a snapshot`, `${broken.keyword.depth}`);
    }
    this.#paths = paths;
    this.#waiting = waiting;
    this.#hits = hits;
    this.#frame = frame;
    this.#free.restore(from);
  }

  get #state() {
    const { vocabSize, maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#settings;
    const path = record({
      context: contextField(this.#joiner),
      keyword: this.#graph.stateField,
      steps: stepsField,
      logProb: logarithm,
      trailingBlanks: whole(),
    });
    return record({
      paths: pathsField(vocabSize, path, maxActivePaths),
      waiting: optional(hitField),
      hits: list(hitField),
      frame: whole(),
    });
  }

  #fresh(): Path {
    return {
      context: initialContext(this.#joiner, this.#settings.blankId),
      tokens: undefined,
      keyword: this.#graph.root,
      steps: [],
      logProb: 0,
      trailingBlanks: 0,
    };
  }

  #advance(encoderProj: Float32Array): void {
    const free = this.#free.best.logProb;
    const paths = extendPaths(this.#joiner, this.#paths, encoderProj, this.#settings).map(({ path, id, own, total }) =>
      countsAsBlank(this.#settings, id)
        ? { ...path, logProb: total, trailingBlanks: path.trailingBlanks + 1 }
        : this.#extend(path, { id, frame: this.#frame, logProb: own }, total, free),
    );
    this.#paths = mergePaths(paths);
    this.#free.advance(encoderProj, this.#frame);
  }

  #extend(path: Path, token: DecodedToken, total: number, free: number): Path {
    const state = this.#graph.advance(path.keyword, token.id);
    // One score for each token and no more: were the whole phrase rewarded again at its end, as hotwords are, a
    // first token of any probability would pay in silence, since the decoder foretells the others well.
    const score = state.pending - path.keyword.pending;
    if (state.depth === 0) {
      return { ...this.#fresh(), logProb: total + score };
    }
    const step = { frame: this.#frame, own: path.logProb - path.keyword.pending, free };
    return {
      context: [...path.context.slice(1), token.id],
      tokens: extendChain(path.tokens, token),
      keyword: state,
      steps: [...path.steps, step].slice(-state.depth),
      logProb: total + score,
      trailingBlanks: 0,
    };
  }

  /** Reports the keyword that the best path ends in, if it is time. */
  #look(): void {
    const { keywordsThreshold } = this.#settings;
    const best = likeliest(this.#paths);
    const isOver = best.trailingBlanks > FORGET_AFTER_FRAMES;
    if (this.#waiting && (isOver || !(best.steps[0]?.frame <= this.#waiting.startFrame))) {
      this.#fire(this.#waiting);
      return;
    }
    const { matched } = best.keyword;
    if (matched && best.trailingBlanks > this.#settings.numTrailingBlanks) {
      const hit = this.#hit(best, matched);
      if (hit.score >= (matched.threshold ?? keywordsThreshold)) {
        if (this.#graph.mayGrow(best.keyword) && !isOver) {
          this.#waiting ??= hit;
        } else {
          this.#fire(hit);
          return;
        }
      }
    }
    if (isOver) {
      this.#forget(this.#frame);
    }
  }

  #hit(path: Path, { phrase, tokens }: Phrase): KeywordHit {
    const steps = path.steps.slice(-tokens.length);
    const [first, last] = [steps[0], steps[steps.length - 1]];
    const own = path.logProb - path.keyword.pending - first.own;
    const free = this.#free.best.logProb - first.free;
    // The bonus makes the path hurry; where the free search has heard the same, only later, it has the better alignment.
    const score = this.#free.endsIn(tokens, first.frame) ? 1 : Math.min(1, Math.exp(own - free));
    return { keyword: phrase, startFrame: first.frame, endFrame: last.frame, score };
  }

  #fire(hit: KeywordHit): void {
    this.#hits.push(hit);
    this.#waiting = undefined;
    this.#forget(hit.endFrame);
  }

  /** Keeps the paths of keywords that began after a frame, if there are any, or starts afresh. */
  #forget(until: number): void {
    this.#paths = this.#paths.filter(({ steps }) => steps[0]?.frame > until);
    if (this.#paths.length === 0) {
      this.#paths = [this.#fresh()];
      this.#free = new FreePaths(this.#joiner, this.#settings);
    }
  }
}
