import { GREEDY_TOKENS, JOINER_ENCODER_PROJ, type HeadOutput } from '../encoder/outputs.ts';
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
import { initialContext, logSoftmax, type TransducerJoiner } from './joiner.ts';

/** What both ways of a greedy search keep: the tokens so far, at most one per frame. */
abstract class GreedyDecoder implements Decoder {
  abstract readonly input: HeadOutput;
  readonly #options: SearchOptions;
  #tokens: DecodedToken[] = [];
  /** The last tokens, as the joiner's decoder sees them. */
  protected context: readonly number[];
  #frame = 0;
  #logProb = 0;

  /** @param context the last tokens of what came before */
  constructor(options: SearchOptions, context: readonly number[]) {
    this.#options = options;
    this.context = context;
  }

  abstract accept(values: Float32Array): void;

  get tokens(): readonly DecodedToken[] {
    return this.#tokens;
  }

  get settled(): number {
    return this.#tokens.length;
  }

  get ending(): DecoderEnding {
    return { tokens: this.context };
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

  save(to: SnapshotWriter): void {
    this.#state.write(to, {
      tokens: this.#tokens,
      context: [...this.context],
      frame: this.#frame,
      logProb: this.#logProb,
    });
  }

  restore(from: SnapshotReader): void {
    const { tokens, context, frame, logProb } = this.#state.read(from);
    this.#tokens = tokens;
    this.context = context;
    this.#frame = frame;
    this.#logProb = logProb;
  }

  get #state() {
    const { vocabSize } = this.#options;
    return record({
      tokens: list(tokenField(vocabSize)),
      context: list(tokenIdField(vocabSize, -1), this.context.length),
      frame: whole(),
      logProb: logarithm,
    });
  }

  /** The choice of the next frame. */
  protected take(id: number, logProb: number): void {
    if (!countsAsBlank(this.#options, id)) {
      this.#tokens.push({ id, frame: this.#frame, logProb });
      this.context = [...this.context.slice(1), id];
    }
    this.#logProb += logProb;
    this.#frame++;
  }
}

/** Transducer greedy search, at most one symbol per frame (icefall's beam_search.py, greedy_search), on the CPU. */
export class GreedySearchDecoder extends GreedyDecoder {
  readonly input = JOINER_ENCODER_PROJ;
  readonly #joiner: TransducerJoiner;
  readonly #blankId: number;
  readonly #blankPenalty: number;

  /** @param context the last tokens of what came before; a fresh start by default */
  constructor(
    joiner: TransducerJoiner,
    options: SearchOptions,
    context: readonly number[] = initialContext(joiner, options.blankId),
  ) {
    super(options, context);
    this.#joiner = joiner;
    this.#blankId = options.blankId;
    this.#blankPenalty = options.blankPenalty ?? 0;
  }

  /** @param encoderProj (frames, joiner_dim) */
  override accept(encoderProj: Float32Array): void {
    const { joinerDim } = this.#joiner;
    for (let start = 0; start < encoderProj.length; start += joinerDim) {
      const frame = encoderProj.subarray(start, start + joinerDim);
      const logits = this.#joiner.logits(frame, this.#joiner.decoderProj(this.context));
      const logProbs = logSoftmax(logits, this.#blankId, this.#blankPenalty);
      const id = argMax(logProbs);
      this.take(id, logProbs[id]);
    }
  }
}

/** The same search where GreedyHead has run it on the GPU: its choices are only written down. */
export class GreedyTokensDecoder extends GreedyDecoder {
  readonly input = GREEDY_TOKENS;

  /** @param picked (frames, 2) of token and log-probability */
  override accept(picked: Float32Array): void {
    for (let start = 0; start < picked.length; start += 2) {
      this.take(picked[start], picked[start + 1]);
    }
  }
}
