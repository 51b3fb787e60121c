import { StreamState, type StateValues } from '../encoder/state.ts';
import { CONTEXT_FRAMES, type EncoderSizes } from '../model/sizes.ts';

/** A stream's states and left context, in arrays of their own: they are copied into a step and out of it. */
export class LaneState extends StreamState {
  /** (layers, d_model) */
  readonly h: Float32Array<ArrayBuffer>;
  /** (layers, hidden) */
  readonly c: Float32Array<ArrayBuffer>;
  /** (5, num_features): the last frames of the chunk before. */
  readonly context: Float32Array<ArrayBuffer>;
  readonly #release: (state: LaneState) => void;

  /** @param release called once when its place is free */
  constructor(encoder: object, sizes: EncoderSizes, release: (state: LaneState) => void) {
    super(encoder, sizes);
    const { numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize } = sizes;
    this.h = new Float32Array(layers * dModel);
    this.c = new Float32Array(layers * rnnHiddenSize);
    this.context = new Float32Array(CONTEXT_FRAMES * numFeatures);
    this.#release = release;
  }

  /** Bytes that a stream takes. */
  static bytes({ numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize }: EncoderSizes): number {
    return 4 * (layers * (dModel + rnnHiddenSize) + CONTEXT_FRAMES * numFeatures);
  }

  /** What a step reads of the stream: its chunk, behind what is kept of the one before. */
  withContext(features: Float32Array): readonly Float32Array[] {
    return this.started ? [this.context, features] : [features];
  }

  /** A step over these features is done: their end is the context of the next. */
  keepContext(features: Float32Array): void {
    const { context } = this;
    const end = features.subarray(Math.max(0, features.length - context.length));
    context.copyWithin(0, end.length);
    context.set(end, context.length - end.length);
    this.advance();
  }

  protected override store({ h, c }: StateValues): void {
    this.h.set(h);
    this.c.set(c);
  }

  protected override async load(): Promise<StateValues> {
    return { h: this.h.slice(), c: this.c.slice() };
  }

  protected override restart(): void {
    // Heads keep nothing of a stream here.
  }

  protected override release(): void {
    this.#release(this);
  }
}
