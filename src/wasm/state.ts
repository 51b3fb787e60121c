import { StreamState, type KeptValues, type StateValues } from '../encoder/state.ts';
import { CONTEXT_FRAMES, type EncoderSizes } from '../model/sizes.ts';
import type { Turns } from './turns.ts';

/** A stream's states and left context, in arrays of their own: they are copied into a step and out of it. */
export class LaneState extends StreamState {
  /** (layers, d_model) */
  readonly h: Float32Array<ArrayBuffer>;
  /** (layers, hidden) */
  readonly c: Float32Array<ArrayBuffer>;
  /** (5, num_features): the last frames of the chunk before. */
  readonly context: Float32Array<ArrayBuffer>;
  readonly #turns: Turns;
  readonly #release: (state: LaneState) => void;
  #writes = 0;

  /**
   * @param turns those of the steps
   * @param release called once when its place is free
   */
  constructor(encoder: object, sizes: EncoderSizes, turns: Turns, release: (state: LaneState) => void) {
    super(encoder, sizes);
    const { numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize } = sizes;
    this.h = new Float32Array(layers * dModel);
    this.c = new Float32Array(layers * rnnHiddenSize);
    this.context = new Float32Array(CONTEXT_FRAMES * numFeatures);
    this.#turns = turns;
    this.#release = release;
  }

  /** Bytes that a stream takes. */
  static bytes({ numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize }: EncoderSizes): number {
    return 4 * (layers * (dModel + rnnHiddenSize) + CONTEXT_FRAMES * numFeatures);
  }

  /** How often h and c were written to from outside: a step that began before does not write over that. */
  get writes(): number {
    return this.#writes;
  }

  /** What a step reads of the stream: its chunk, behind what is kept of the one before. */
  withContext(features: Float32Array): readonly Float32Array[] {
    return this.started ? [this.context, features] : [features];
  }

  /** A step has taken these features: their end is the context of the next. */
  keepContext(features: Float32Array): void {
    const { context } = this;
    const end = features.subarray(Math.max(0, features.length - context.length));
    context.copyWithin(0, end.length);
    context.set(end, context.length - end.length);
    this.advance();
  }

  protected override store({ h, c, context }: StateValues & Partial<KeptValues>): void {
    this.#writes++;
    this.h.set(h);
    this.c.set(c);
    if (context) {
      this.context.set(context);
    }
  }

  protected override load(): Promise<KeptValues> {
    return this.#turns.take(() => ({ h: this.h.slice(), c: this.c.slice(), context: this.context.slice() }));
  }

  protected override restart(): void {
    // Heads keep nothing of a stream here.
  }

  protected override release(): void {
    this.#release(this);
  }
}
