import { StreamState, type KeptValues, type StateValues } from '../encoder/state.ts';
import { CONTEXT_FRAMES, type EncoderSizes } from '../model/sizes.ts';
import type { EncoderBuffers } from './buffers.ts';
import type { GpuContext } from './device/context.ts';
import { readBuffers } from './device/readback.ts';
import { padded, restride } from './weights.ts';

/** Buffers of all streams' states. */
export type Arena = Pick<EncoderBuffers, 'h' | 'c' | 'context'>;

/** The slots as one of their streams sees them. */
export interface SlotOwner {
  /** Where states lie now: the arena may grow, and move as a whole. */
  arena(): Arena;
  /** Until the arena has room for the slot, where it does not have it yet. */
  roomComing(): Promise<void> | undefined;
  /** Changes the arena, now or as soon as it has room for the slot. */
  change(write: (arena: Arena) => void): void;
  /** The stream in the slot starts afresh, or behind some tokens. */
  reset(tokens?: readonly number[]): void;
  /** The slot is free. */
  release(): void;
}

/** A stream's slot: its states and its left context on the GPU. */
export class SlotState extends StreamState {
  readonly slot: number;
  readonly #context: GpuContext;
  readonly #sizes: EncoderSizes;
  readonly #owner: SlotOwner;

  constructor(context: GpuContext, sizes: EncoderSizes, slot: number, encoder: object, owner: SlotOwner) {
    super(encoder, sizes);
    this.#context = context;
    this.#sizes = sizes;
    this.slot = slot;
    this.#owner = owner;
  }

  /** Padded values into this stream's part of the arenas. */
  protected override store(values: StateValues & Partial<KeptValues>): void {
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    const h = restride(values.h, layers, dModel, dModel, padded(dModel));
    const c = restride(values.c, layers, rnnHiddenSize, rnnHiddenSize, padded(rnnHiddenSize));
    const { queue } = this.#context.device;
    this.#owner.change((arena) => {
      queue.writeBuffer(arena.h, this.slot * h.byteLength, h);
      queue.writeBuffer(arena.c, this.slot * c.byteLength, c);
      if (values.context) {
        queue.writeBuffer(arena.context, this.slot * values.context.byteLength, values.context);
      }
    });
  }

  protected override async load(): Promise<KeptValues> {
    // Room may be growing again when it has grown.
    for (let coming = this.#owner.roomComing(); coming; coming = this.#owner.roomComing()) {
      await coming;
      this.check();
    }
    this.#context.check();
    const { numFeatures, numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    const hSize = 4 * layers * padded(dModel);
    const cSize = 4 * layers * padded(rnnHiddenSize);
    const contextSize = 4 * CONTEXT_FRAMES * numFeatures;
    const { h, c, context } = this.#owner.arena();
    const values = await readBuffers(this.#context, [
      { buffer: h, offset: this.slot * hSize, bytes: hSize },
      { buffer: c, offset: this.slot * cSize, bytes: cSize },
      { buffer: context, offset: this.slot * contextSize, bytes: contextSize },
    ]);
    return {
      h: restride(values, layers, dModel, padded(dModel), dModel),
      c: restride(values.subarray(hSize / 4), layers, rnnHiddenSize, padded(rnnHiddenSize), rnnHiddenSize),
      context: values.slice((hSize + cSize) / 4),
    };
  }

  protected override restart(tokens?: readonly number[]): void {
    this.#owner.reset(tokens);
  }

  protected override release(): void {
    this.#owner.release();
  }
}
