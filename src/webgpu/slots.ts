import { requireFreeStream } from '../encoder/checks.ts';
import type { EncoderCapacity } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import type { GpuContext } from './device/context.ts';
import type { EncoderKernels } from './plan.ts';
import { SlotState } from './state.ts';
import type { EncoderWeights } from './weights.ts';
import { Workspace, type BoundHead, type EncoderHead } from './workspace.ts';

/** Streams that there is room for at the start; doubled when more come. */
const FIRST_SLOTS = 4;

/** What workspaces are made of. */
export interface WorkspaceParts {
  context: GpuContext;
  sizes: EncoderSizes;
  weights: EncoderWeights;
  kernels: EncoderKernels;
}

/**
 * The streams of an encoder, each in a slot of its workspace. When there is no room left a workspace twice as large takes
 * the place of the one before; the other streams keep their slots and bytes.
 */
export class Slots {
  readonly #parts: WorkspaceParts;
  readonly #capacity: Readonly<EncoderCapacity>;
  readonly #heads: EncoderHead[] = [];
  readonly #states = new Set<SlotState>();
  readonly #free: number[] = [];
  #workspace: Workspace;
  /** The next, larger workspace while it is not known whether there was memory for it, and the writes that wait for it. */
  #coming: { workspace: Workspace; changes: (() => void)[] } | undefined;
  /** Resolves when that is known. */
  #growth: Promise<void> | undefined;

  constructor(parts: WorkspaceParts, capacity: Readonly<EncoderCapacity>) {
    this.#parts = parts;
    this.#capacity = capacity;
    this.#workspace = this.#createWorkspace(Math.min(FIRST_SLOTS, capacity.maxStreams));
  }

  /** Buffers and bound kernels that steps run in now. */
  get workspace(): Workspace {
    return this.#workspace;
  }

  /** Streams that there are. */
  get count(): number {
    return this.#states.size;
  }

  /** Whether it is not known yet that there was memory for the streams so far. */
  get isGrowing(): boolean {
    return this.#growth !== undefined;
  }

  /** Resolves when it is known whether there was memory for the streams so far. */
  async settled(): Promise<void> {
    while (this.#growth) {
      await this.#growth;
    }
  }

  attach(head: EncoderHead): BoundHead {
    const bound = this.#workspace.attach(head);
    this.#coming?.workspace.attach(head);
    this.#heads.push(head);
    // Those without a slot in the workspace yet are reset when they get it.
    [...this.#states]
      .filter(({ slot }) => slot < this.#workspace.room.slots)
      .forEach(({ slot }) => bound.reset?.(slot));
    return bound;
  }

  /**
   * A slot for a new stream of `encoder`, its states zero. If it turns out that there is no GPU memory for it, the others
   * go on as before, and the new stream's first use says so.
   *
   * @throws RillError `busy` when all slots are taken.
   */
  create(encoder: object): SlotState {
    requireFreeStream(this.#states.size, this.#capacity);
    if (this.#free.length === 0) {
      this.#grow();
    }
    const slot = this.#free.pop() ?? 0;
    const inRoom = () => slot < this.#workspace.room.slots;
    const whenInRoom = (act: () => void) => {
      if (inRoom()) {
        act();
      } else {
        this.#coming?.changes.push(act);
      }
    };
    const { context, sizes } = this.#parts;
    const state: SlotState = new SlotState(context, sizes, slot, encoder, {
      arena: () => this.#workspace.buffers,
      roomComing: () => (inRoom() ? undefined : this.#growth),
      change: (write) => {
        whenInRoom(() => {
          write(this.#workspace.buffers);
        });
      },
      reset: () => {
        whenInRoom(() => {
          this.#workspace.reset(slot);
        });
      },
      release: () => {
        this.#states.delete(state);
        if (slot < (this.#coming?.workspace ?? this.#workspace).room.slots) {
          this.#free.push(slot);
        }
      },
    });
    this.#states.add(state);
    state.reset();
    return state;
  }

  /** Bytes that states and activations take at most with so many streams more: room is doubled until they have it. */
  memoryFor(more: number): number {
    const { bytes, room } = this.#workspace;
    const needed = Math.min(this.#states.size + more, this.#capacity.maxStreams);
    let { slots } = room;
    while (slots < needed) {
      slots = this.#doubled(slots);
    }
    return (bytes * slots) / room.slots;
  }

  dispose(): void {
    this.#workspace.dispose();
    this.#coming?.workspace.dispose();
    this.#coming = undefined;
    this.#states.forEach((state) => {
      state.dispose();
    });
  }

  #doubled(slots: number): number {
    return Math.min(2 * slots, this.#capacity.maxStreams);
  }

  /**
   * Makes a workspace twice as large. Running out of memory is told later than it happens: until then the one before
   * stays in place, steps wait, and what concerns new slots is put off.
   */
  #grow(): void {
    const { device } = this.#parts.context;
    const earlier = this.#coming;
    const { slots: taken } = (earlier?.workspace ?? this.#workspace).room;
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    let workspace: Workspace;
    let errors: Promise<(GPUError | null)[]>;
    try {
      workspace = this.#createWorkspace(this.#doubled(taken), taken);
    } finally {
      // A device that was lost has no errors to tell, and no use for an answer.
      errors = Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => []);
    }
    earlier?.workspace.dispose();
    this.#coming = { workspace, changes: earlier?.changes ?? [] };
    const growth: Promise<void> = errors.then((each) => {
      this.#endGrowth(
        workspace,
        each.find((error) => error !== null),
      );
      if (this.#growth === growth) {
        this.#growth = undefined;
      }
    });
    this.#growth = growth;
  }

  #endGrowth(grown: Workspace, error: GPUError | null | undefined): void {
    if (this.#coming?.workspace !== grown) {
      // A still larger one has taken its place, or the encoder has ended.
      return;
    }
    const { changes } = this.#coming;
    this.#coming = undefined;
    const before = this.#workspace;
    if (!error) {
      grown.copyStates(before);
      before.dispose();
      this.#workspace = grown;
      changes.forEach((change) => {
        change();
      });
      return;
    }
    grown.dispose();
    const { slots } = before.room;
    this.#free.splice(0, Infinity, ...this.#free.filter((slot) => slot < slots));
    const failure = new RillError('gpu', {
      got: `no GPU memory for more than ${slots} streams (${error.message.split('\n')[0]})`,
      expected: 'room for another',
      remedy: 'Close a stream first, or create the encoder with a smaller maxFrames.',
    });
    [...this.#states]
      .filter(({ slot }) => slot >= slots)
      .forEach((state) => {
        state.fail(failure);
      });
  }

  /** @param taken slots that are in use already: the others become free */
  #createWorkspace(slots: number, taken = 0): Workspace {
    const { context, sizes, weights, kernels } = this.#parts;
    const { maxFrames, maxLanes } = this.#capacity;
    const room = { slots, lanes: Math.min(slots, maxLanes), frames: maxFrames };
    const workspace = new Workspace(context, sizes, weights, kernels, this.#heads, room);
    for (let slot = slots - 1; slot >= taken; slot--) {
      this.#free.push(slot);
    }
    return workspace;
  }
}
