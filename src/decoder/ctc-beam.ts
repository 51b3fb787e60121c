import { CTC_LOG_PROBS } from '../encoder/outputs.ts';
import type { SnapshotReader, SnapshotWriter } from '../snapshot/bytes.ts';
import { logarithm, optional, real, record, whole } from '../snapshot/fields.ts';
import { DEFAULT_ACTIVE_PATHS } from './beam.ts';
import { phrasesField, type ContextState } from './context-graph.ts';
import { argMax, countsAsBlank, tokenIdField, type DecodedToken, type Decoder, type DecoderEnding } from './decoder.ts';
import type { BeamSearchOptions } from './modified-beam-search.ts';
import {
  chainTokens,
  commonChain,
  extendChain,
  largest,
  logAdd,
  pathsField,
  sameTokens,
  type TokenChain,
} from './token-chain.ts';

/** A prefix with the log-probability of all alignments that end in a blank, and of those that end in its last token. */
interface Prefix {
  tokens: TokenChain;
  blank: number;
  nonBlank: number;
  /** What hotwords have added, and how far they have been matched. */
  bonus: number;
  hotwords: ContextState | undefined;
}

/** A prefix of the next frame, with the most that a single path has brought it: whose times its tokens have. */
interface NextPrefix extends Prefix {
  most: number;
}

const total = ({ blank, nonBlank }: Prefix) => logAdd(blank, nonBlank);

/**
 * Streaming CTC prefix beam search (Hannun et al. 2014, without a language model): alignments of the same
 * tokens are summed. Prefixes carry over chunks.
 */
export class CtcBeamDecoder implements Decoder {
  readonly input = CTC_LOG_PROBS;
  readonly #options: BeamSearchOptions;
  #prefixes: Prefix[];
  /** Stands before the first token, as its predecessor. */
  #held: number | undefined;
  #frame = 0;
  #trailingBlanks = 0;

  /** @param held the token that the frame before the first was in the middle of */
  constructor(options: BeamSearchOptions, held = options.blankId) {
    this.#options = options;
    this.#held = held === options.blankId ? undefined : held;
    const start = this.#held === undefined ? { blank: 0, nonBlank: -Infinity } : { blank: -Infinity, nonBlank: 0 };
    this.#prefixes = [{ tokens: undefined, ...start, bonus: 0, hotwords: options.hotwords?.root }];
  }

  get tokens(): readonly DecodedToken[] {
    return chainTokens(this.#best().tokens);
  }

  /** Tokens that all active prefixes have in common. */
  get settled(): number {
    return this.#prefixes.map(({ tokens }) => tokens).reduce(commonChain)?.length ?? 0;
  }

  get logProb(): number {
    return total(this.#best());
  }

  get frames(): number {
    return this.#frame;
  }

  get trailingBlanks(): number {
    return this.#trailingBlanks;
  }

  get ending(): DecoderEnding {
    const best = this.#best();
    return { tokens: [], held: best.nonBlank > best.blank ? (best.tokens?.token.id ?? this.#held) : undefined };
  }

  /** @param logProbs (frames, vocab_size) */
  accept(logProbs: Float32Array): void {
    const { vocabSize, blankId, blankPenalty = 0 } = this.#options;
    for (let start = 0; start < logProbs.length; start += vocabSize) {
      const frame = logProbs.slice(start, start + vocabSize);
      frame[blankId] -= blankPenalty;
      this.#advance(frame);
      this.#trailingBlanks = countsAsBlank(this.#options, argMax(frame)) ? this.#trailingBlanks + 1 : 0;
      this.#frame++;
    }
  }

  save(to: SnapshotWriter): void {
    const [held, frame, trailingBlanks] = [this.#held, this.#frame, this.#trailingBlanks];
    this.#state.write(to, { prefixes: this.#prefixes, held, frame, trailingBlanks });
  }

  restore(from: SnapshotReader): void {
    const { prefixes, held, frame, trailingBlanks } = this.#state.read(from);
    this.#prefixes = prefixes;
    this.#held = held;
    this.#frame = frame;
    this.#trailingBlanks = trailingBlanks;
  }

  get #state() {
    const { vocabSize, hotwords, maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#options;
    const prefix = record({
      blank: logarithm,
      nonBlank: logarithm,
      bonus: real,
      hotwords: phrasesField(hotwords),
    });
    return record({
      prefixes: pathsField(vocabSize, prefix, maxActivePaths),
      held: optional(tokenIdField(vocabSize)),
      frame: whole(),
      trailingBlanks: whole(),
    });
  }

  #best(): Prefix {
    const score = (prefix: Prefix) => total(prefix) + prefix.bonus - (prefix.hotwords?.pending ?? 0);
    return this.#prefixes.reduce((best, prefix) => (score(prefix) > score(best) ? prefix : best));
  }

  #advance(logProbs: Float32Array): void {
    const { blankId, maxActivePaths = DEFAULT_ACTIVE_PATHS } = this.#options;
    const next: NextPrefix[] = [];
    /** Adds a path to the prefix of these tokens in `next`; a new one takes what `like` has beside its probabilities. */
    const add = (
      end: 'blank' | 'nonBlank',
      logProb: number,
      tokens: TokenChain,
      like: Omit<Prefix, 'blank' | 'nonBlank'>,
    ): void => {
      let prefix = next.find((each) => sameTokens(each.tokens, tokens));
      if (!prefix) {
        const { bonus, hotwords } = like;
        prefix = { tokens, bonus, hotwords, blank: -Infinity, nonBlank: -Infinity, most: -Infinity };
        next.push(prefix);
      }
      if (logProb > prefix.most) {
        prefix.most = logProb;
        prefix.tokens = tokens;
      }
      prefix[end] = logAdd(prefix[end], logProb);
    };
    // A token outside the frame's few best cannot bring a prefix into the beam that is worth keeping.
    const candidates = new Set([...largest(logProbs, maxActivePaths + 1), blankId]);
    for (const prefix of this.#prefixes) {
      const last = prefix.tokens?.token.id ?? this.#held;
      for (const id of candidates) {
        const own = logProbs[id];
        if (countsAsBlank(this.#options, id)) {
          add('blank', total(prefix) + own, prefix.tokens, prefix);
          continue;
        }
        if (id === last) {
          add('nonBlank', prefix.nonBlank + own, prefix.tokens, prefix);
        }
        // A repeated token is a new one only after a blank.
        const before = id === last ? prefix.blank : total(prefix);
        if (before > -Infinity) {
          const longer = extendChain(prefix.tokens, { id, frame: this.#frame, logProb: own });
          add('nonBlank', before + own, longer, this.#boost(prefix, id));
        }
      }
    }
    next.sort((a, b) => total(b) + b.bonus - total(a) - a.bonus);
    this.#prefixes = next.slice(0, maxActivePaths);
  }

  #boost({ tokens, bonus, hotwords }: Prefix, id: number): Omit<Prefix, 'blank' | 'nonBlank'> {
    const graph = this.#options.hotwords;
    if (!graph || !hotwords) {
      return { tokens, bonus, hotwords };
    }
    const { state, score } = graph.favour(hotwords, id);
    return { tokens, bonus: bonus + score, hotwords: state };
  }
}
