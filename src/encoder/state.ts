import { RillError } from '../errors.ts';
import { CONTEXT_FRAMES, type EncoderSizes } from '../model/sizes.ts';
import { requireFinite } from '../model/tensors.ts';
import { floats, optional, record } from '../snapshot/fields.ts';

/** The recurrent states of one stream, as PyTorch has them for N = 1. */
export interface StateValues {
  /** (num_layers, d_model) */
  h: Float32Array<ArrayBuffer>;
  /** (num_layers, rnn_hidden_size) */
  c: Float32Array<ArrayBuffer>;
}

/** All that an encoder keeps of a stream, heads aside. */
export interface KeptValues extends StateValues {
  /** (5, num_features): the left context. */
  context: Float32Array<ArrayBuffer>;
}

/** What is kept of a stream between two steps; the left context only behind the first chunk. */
export interface SavedState extends StateValues {
  context: Float32Array<ArrayBuffer> | undefined;
}

/** A stream's state in a snapshot. */
export const savedStateField = ({ numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize }: EncoderSizes) =>
  record<SavedState>({
    h: floats(layers * dModel),
    c: floats(layers * rnnHiddenSize),
    context: optional(floats(CONTEXT_FRAMES * numFeatures)),
  });

/** @throws RillError `bad-argument` naming the first value that is not finite. */
export function requireFiniteStates({ h, c }: StateValues): void {
  requireFinite('bad-argument', 'h', h);
  requireFinite('bad-argument', 'c', c);
}

/**
 * One stream in an encoder: h, c and the 5 feature frames of left context, kept from chunk to chunk. Where they lie is
 * each engine's own.
 */
export abstract class StreamState {
  /** The encoder it is a stream of. */
  readonly encoder: object;
  readonly #sizes: EncoderSizes;
  /** @internal Called when its place is given back, also by the end of the encoder; with the reason, if it was taken. */
  onClose?: (error?: RillError) => void;
  #started = false;
  #closed = false;
  #failure: RillError | undefined;

  constructor(encoder: object, sizes: EncoderSizes) {
    this.encoder = encoder;
    this.#sizes = sizes;
  }

  /** Whether the left context is there: the first chunk has to bring it. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether its place was given back. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @internal A step of the stream has begun. */
  advance(): void {
    this.#started = true;
  }

  /** @throws RillError `closed`, or what its place was taken for. */
  check(): void {
    if (this.#failure) {
      throw this.#failure;
    }
    if (this.#closed) {
      throw new RillError('closed', {
        got: 'a stream that was closed',
        expected: 'an open one',
        remedy: 'Create a new stream.',
      });
    }
  }

  /** Starts the stream afresh: zero states, no context. Its neighbours are not touched. */
  reset(): void {
    this.zero();
    this.restart();
    this.#started = false;
  }

  /** Zeroes h and c and keeps the left context: the audio goes on, what was said before is forgotten. */
  zero(): void {
    this.check();
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    this.store({ h: new Float32Array(layers * dModel), c: new Float32Array(layers * rnnHiddenSize) });
  }

  /**
   * Sets h and c, for a warm start. The left context is not part of them: the next chunk brings it.
   *
   * @throws RillError `bad-argument` when a length does not fit or a value is not finite, `closed`.
   */
  write({ h, c }: StateValues): void {
    this.check();
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    if (h.length !== layers * dModel || c.length !== layers * rnnHiddenSize) {
      throw new RillError('bad-argument', {
        got: `h of ${h.length} and c of ${c.length} values`,
        expected: `h of (${layers}, ${dModel}) and c of (${layers}, ${rnnHiddenSize})`,
        remedy: 'States fit the model they were read from.',
      });
    }
    requireFiniteStates({ h, c });
    this.#started = false;
    this.store({ h, c });
  }

  /** Reads h and c as they are after the steps begun so far. */
  async read(): Promise<StateValues> {
    this.check();
    const { h, c } = await this.load();
    return { h, c };
  }

  /** @internal Reads all that is kept of the stream, as it is after the steps begun so far. */
  async save(): Promise<SavedState> {
    this.check();
    const started = this.#started;
    const { h, c, context } = await this.load();
    return { h, c, context: started ? context : undefined };
  }

  /**
   * @internal Goes on as a stream that was saved.
   *
   * @param saved whose lengths fit
   * @param tokens the last ones, for a transducer search in the encoder's steps
   */
  resume({ h, c, context }: SavedState, tokens?: readonly number[]): void {
    this.check();
    this.restart(tokens);
    this.store(context ? { h, c, context } : { h, c });
    this.#started = context !== undefined;
  }

  /** Gives its place back. */
  dispose(): void {
    this.#close();
  }

  /** @internal Its place is lost: whoever uses the stream from now on gets the error. */
  fail(error: RillError): void {
    this.#failure = error;
    this.#close(error);
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #close(error?: RillError): void {
    if (!this.#closed) {
      this.#closed = true;
      this.onClose?.(error);
      this.release();
    }
  }

  /** Keeps what is given, whose lengths fit. */
  protected abstract store(values: StateValues & Partial<KeptValues>): void;
  protected abstract load(): Promise<KeptValues>;
  /** What heads keep of the stream begins anew. @param tokens the last ones before, if there were any */
  protected abstract restart(tokens?: readonly number[]): void;
  /** Its place is free. */
  protected abstract release(): void;
}
