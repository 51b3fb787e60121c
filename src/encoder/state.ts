import { RillError } from '../errors.ts';
import type { GpuContext } from '../gpu/context.ts';
import { readBuffers } from '../gpu/readback.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { requireFinite } from '../model/tensors.ts';
import type { EncoderBuffers } from './plan.ts';
import { padded, restride } from './weights.ts';

/** The recurrent states of one stream, as PyTorch has them for N = 1. */
export interface StateValues {
  /** (num_layers, d_model) */
  h: Float32Array<ArrayBuffer>;
  /** (num_layers, rnn_hidden_size) */
  c: Float32Array<ArrayBuffer>;
}

/** @throws RillError `bad-argument` naming the first value that is not finite. */
export function requireFiniteStates({ h, c }: StateValues): void {
  requireFinite('bad-argument', 'h', h);
  requireFinite('bad-argument', 'c', c);
}

/** Buffers of all streams' states. */
type Arena = Pick<EncoderBuffers, 'h' | 'c'>;

/** The encoder as a slot sees it. */
export interface SlotOwner {
  /** Where states lie now: the arena may grow, and move as a whole. */
  arena(): Arena;
  /** Until the arena has room for the slot, where it does not have it yet. */
  roomComing(): Promise<void> | undefined;
  /** Changes the arena, now or as soon as it has room for the slot. */
  change(write: (arena: Arena) => void): void;
  /** The stream in the slot starts afresh. */
  reset(): void;
  /** The slot is free. */
  release(): void;
}

/** One stream's slot: h, c and the 5 feature frames of left context, on the GPU from chunk to chunk. */
export class EncoderState {
  readonly slot: number;
  /** The encoder it is a slot of. */
  readonly encoder: object;
  readonly #context: GpuContext;
  readonly #sizes: EncoderSizes;
  readonly #owner: SlotOwner;
  /** @internal Called when the slot is given back, also by the end of the encoder; with the reason, if it was taken. */
  onClose?: (error?: RillError) => void;
  #started = false;
  #closed = false;
  #failure: RillError | undefined;

  constructor(context: GpuContext, sizes: EncoderSizes, slot: number, encoder: object, owner: SlotOwner) {
    this.#context = context;
    this.#sizes = sizes;
    this.slot = slot;
    this.encoder = encoder;
    this.#owner = owner;
  }

  /** Whether the left context is there: the first chunk has to bring it. */
  get started(): boolean {
    return this.#started;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** @internal A step of the stream was submitted. */
  advance(): void {
    this.#started = true;
  }

  /** @throws RillError `closed`, or `gpu` when there was no memory for its slot. */
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
    this.#owner.reset();
    this.#started = false;
  }

  /** Zeroes h and c and keeps the left context: the audio goes on, what was said before is forgotten. */
  zero(): void {
    this.check();
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    this.#write(new Float32Array(layers * padded(dModel)), new Float32Array(layers * padded(rnnHiddenSize)));
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
    this.#write(
      restride(h, layers, dModel, dModel, padded(dModel)),
      restride(c, layers, rnnHiddenSize, rnnHiddenSize, padded(rnnHiddenSize)),
    );
  }

  /** Reads h and c as they are after the steps submitted so far. */
  async read(): Promise<StateValues> {
    this.check();
    // Room may be growing again when it has grown.
    for (let coming = this.#owner.roomComing(); coming; coming = this.#owner.roomComing()) {
      await coming;
      this.check();
    }
    this.#context.check();
    const { numEncoderLayers: layers, dModel, rnnHiddenSize } = this.#sizes;
    const hSize = 4 * layers * padded(dModel);
    const cSize = 4 * layers * padded(rnnHiddenSize);
    const { h, c } = this.#owner.arena();
    const values = await readBuffers(this.#context, [
      { buffer: h, offset: this.slot * hSize, bytes: hSize },
      { buffer: c, offset: this.slot * cSize, bytes: cSize },
    ]);
    return {
      h: restride(values, layers, dModel, padded(dModel), dModel),
      c: restride(values.subarray(hSize / 4), layers, rnnHiddenSize, padded(rnnHiddenSize), rnnHiddenSize),
    };
  }

  /** Gives the slot back. */
  dispose(): void {
    this.#close();
  }

  /** @internal The slot is lost: whoever uses the stream from now on gets the error. */
  fail(error: RillError): void {
    this.#failure = error;
    this.#close(error);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #close(error?: RillError): void {
    if (!this.#closed) {
      this.#closed = true;
      this.onClose?.(error);
      this.#owner.release();
    }
  }

  /** Padded values into this stream's part of the arenas. */
  #write(h: Float32Array<ArrayBuffer>, c: Float32Array<ArrayBuffer>): void {
    const { queue } = this.#context.device;
    this.#owner.change((arena) => {
      queue.writeBuffer(arena.h, this.slot * h.byteLength, h);
      queue.writeBuffer(arena.c, this.slot * c.byteLength, c);
    });
  }
}
