import type { WeightDtype } from '../model/dtypes.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import type { OutputName } from './outputs.ts';
import type { StreamState } from './state.ts';

/** Largest numbers an encoder is made for. */
export interface EncoderCapacity {
  /** Streams that exist at a time, up to 4096; 16 by default. Memory for their states grows with how many there are. */
  maxStreams: number;
  /** Encoder frames of one stream in one step, up to 128; 16 by default, a recognizer's `chunkFrames` there. */
  maxFrames: number;
  /** Streams that one step can advance; `maxStreams` by default, or as many as the device's buffers allow. */
  maxLanes: number;
}

/** What any encoder can be told. */
export interface EncoderOptions extends Partial<EncoderCapacity> {
  /**
   * What matrices are kept as; states and sums are f32 whatever it is. `auto`, the default, is what the model folder has.
   */
  dtype?: WeightDtype | 'auto';
  /** Called as each tensor is loaded, with its name. */
  onTensor?: (tensor: string) => void;
}

/** What one stream brings to a step. */
export interface StepInput {
  /** The stream. */
  state: StreamState;
  /**
   * Log-mel features, (4n, num_features) for n encoder frames; the first chunk of a stream brings the 5 frames
   * of left context as well: (4n + 5, num_features).
   */
  features: Float32Array;
}

/** What one stream gets from a step, (frames, width) each, by name: `encoder_out`, and those of the heads. */
export interface StepResult {
  /** Encoder frames that the step gave. */
  frames: number;
  /** (frames, width) of each output that was asked for, by its name. */
  outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
}

/** A step's results and what they took. */
export interface TimedStep {
  results: StepResult[];
  /** Milliseconds from the start until the work is done, or until the results are there, if those come first. */
  computeMs: number;
  /** Milliseconds from then until the results are there. */
  readbackMs: number;
}

/** A stream's result with (frames, d_model) of the embedding and of each layer. */
export interface TracedResult extends StepResult {
  trace: Float32Array<ArrayBuffer>[];
}

/**
 * The RNN encoder of icefall's `lstm_transducer_stateless` (lstm.py, class RNN), for many streams at once, whatever it
 * runs on. Each stream's hidden and cell states and left context are kept from chunk to chunk.
 *
 * The output bytes of a stream do not depend on the chunk size or on the other streams of a step. Between engines they
 * differ by rounding.
 */
export interface Encoder {
  /** Widths of the network. */
  readonly sizes: EncoderSizes;
  /** What the matrices are kept as. */
  readonly dtype: WeightDtype;
  /** What it is made for; a head with a wide output can lower the lanes of a step. */
  readonly capacity: Readonly<EncoderCapacity>;
  /** Streams that could join the next step: lanes, or places for streams where those are fewer. */
  readonly freeLanes: number;

  /** Whether {@link provide} has a way to an output on this engine, a model's own heads aside. */
  canProvide(output: OutputName): boolean;

  /**
   * From now on steps can give this output: loads the head, which runs at the end of each step. Asking again for the same
   * changes nothing.
   *
   * @param output of a head, anything but `encoder_out`, which is always there
   * @param options `blankPenalty` is subtracted from the blank's logit before a token is chosen, for `ctc_tokens` and
   *   `greedy_tokens`; 0 by default
   * @throws RillError `bad-model` when the model has no such head, `bad-argument` for what this engine cannot give, or
   * gives with other options already, `closed`.
   */
  provide(output: Exclude<OutputName, 'encoder_out'>, options?: { blankPenalty?: number }): Promise<void>;

  /**
   * A place for a new stream, its states zero.
   *
   * @throws RillError `busy` when all are taken, `closed`.
   */
  createState(): StreamState;

  /**
   * Advances one or more streams by one chunk each, ragged lengths included. Steps run in the order of their calls.
   *
   * @param inputs at most `capacity.maxLanes`, each stream once
   * @param read names of the outputs to give; `encoder_out` by default
   * @returns one result for each input, in order
   * @throws RillError `bad-argument`, also for features that are not finite (nothing has changed then), `closed`,
   * `device-lost`, `gpu`.
   */
  step(inputs: readonly StepInput[], read?: readonly string[]): Promise<StepResult[]>;

  /**
   * @internal Like {@link step}, for inputs that may change while an earlier step is under way: `prepare` is called right
   * before the step begins, `onSubmit` right after; when there is nothing, nothing happens.
   */
  stepLate(prepare: () => readonly StepInput[], read: readonly string[], onSubmit: () => void): Promise<TimedStep>;

  /** @internal Like {@link step}, with the output of the embedding and of every layer: for comparisons. Not for streaming. */
  trace(inputs: readonly StepInput[]): Promise<TracedResult[]>;

  /** @internal Bytes that states and activations take at most with so many streams more. */
  memoryFor(more: number): number;

  /** Ends the encoder and frees its memory; its streams can no longer be used. */
  dispose(): void;
}
