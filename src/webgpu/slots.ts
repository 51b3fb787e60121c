import { requireFreeStream } from '../encoder/checks.ts';
import type { EncoderCapacity } from '../encoder/encoder.ts';
import { RillError } from '../errors.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { contained } from './device/contained.ts';
import type { GpuContext } from './device/context.ts';
import type { EncoderKernels } from './plan.ts';
import { SlotState } from './state.ts';
import type { EncoderWeights } from './weights.ts';
import { Workspace, type BoundHead, type EncoderHead } from './workspace.ts';

/** Streams that there is room for at the start; doubled when more come. */
const FIRST_SLOTS = 4;

/** What workspaces are made of. */
export interface WorkspaceParts {
  readonly context: GpuContext;
  readonly sizes: EncoderSizes;
  readonly weights: EncoderWeights;
  readonly kernels: EncoderKernels;
  readonly heads: EncoderHead[];
}

/** A workspace that is to take the place of the one before, and the writes that wait for it. */
interface Coming {
  workspace: Workspace;
  parts: WorkspaceParts;
  changes: (() => void)[];
}

/**
 * The streams of an encoder, each in a slot of its workspace. When there is no room left a workspace twice as large takes
 * the place of the one before, when kernels change one of other parts; the streams keep their slots and bytes.
 */
export class Slots {
  readonly #capacity: Readonly<EncoderCapacity>;
  readonly #states = new Set<SlotState>();
  readonly #free: number[] = [];
  #parts: WorkspaceParts;
  #workspace: Workspace;
  /** While it is not known whether there was memory for it. */
  #coming: Coming | undefined;
  /** Resolves when that is known. */
  #moving: Promise<void> | undefined;

  constructor(parts: WorkspaceParts, capacity: Readonly<EncoderCapacity>) {
    this.#parts = parts;
    this.#capacity = capacity;
    this.#workspace = this.#createWorkspace(parts, Math.min(FIRST_SLOTS, capacity.maxStreams));
  }

  /** Buffers and bound kernels that steps run in now. */
  get workspace(): Workspace {
    return this.#workspace;
  }

  /** Streams that there are. */
  get count(): number {
    return this.#states.size;
  }

  /** Whether it is not known yet that there was memory for the next workspace. */
  get isMoving(): boolean {
    return this.#moving !== undefined;
  }

  /** Resolves when it is known whether there was memory for the next workspace, if one is to come. */
  async settled(): Promise<void> {
    while (this.#moving) {
      await this.#moving;
    }
  }

  attach(head: EncoderHead): BoundHead {
    const bound = this.#workspace.attach(head);
    this.#coming?.workspace.attach(head);
    this.#parts.heads.push(head);
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
      this.#move(this.#coming?.parts ?? this.#parts, this.#doubled(this.#newest.room.slots));
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
      roomComing: () => (inRoom() ? undefined : this.#moving),
      change: (write) => {
        whenInRoom(() => {
          write(this.#workspace.buffers);
        });
      },
      reset: (tokens) => {
        whenInRoom(() => {
          this.#workspace.reset(slot, tokens);
        });
      },
      release: () => {
        this.#states.delete(state);
        if (slot < this.#newest.room.slots) {
          this.#free.push(slot);
        }
      },
    });
    this.#states.add(state);
    state.reset();
    return state;
  }

  /**
   * Changes over to other parts between two steps: a workspace of them takes the states over.
   *
   * @param parts with the same heads, in the same order
   * @returns whether there was memory for it; if not, all is as before
   */
  async changeTo(parts: WorkspaceParts): Promise<boolean> {
    this.#move(parts, this.#newest.room.slots);
    await this.settled();
    return this.#parts === parts;
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

  /** The workspace that there is room in, if all goes well. */
  get #newest(): Workspace {
    return (this.#coming ?? { workspace: this.#workspace }).workspace;
  }

  /**
   * Makes a workspace of some parts with so many slots. Running out of memory is told later than it happens: until then
   * the one before stays in place, steps wait, and what concerns new slots is put off.
   */
  #move(parts: WorkspaceParts, slots: number): void {
    const earlier = this.#coming;
    const taken = this.#newest.room.slots;
    const { made: workspace, error } = contained(parts.context.device, () =>
      this.#createWorkspace(parts, slots, taken),
    );
    earlier?.workspace.dispose();
    this.#coming = { workspace, parts, changes: earlier?.changes ?? [] };
    const moving: Promise<void> = error.then((failure) => {
      this.#endMove(workspace, failure);
      if (this.#moving === moving) {
        this.#moving = undefined;
      }
    });
    this.#moving = moving;
  }

  #endMove(next: Workspace, error: GPUError | undefined): void {
    if (this.#coming?.workspace !== next) {
      // Another has taken its place, or the encoder has ended.
      return;
    }
    const { changes, parts } = this.#coming;
    this.#coming = undefined;
    const before = this.#workspace;
    if (!error) {
      next.copyStates(before);
      before.dispose();
      this.#workspace = next;
      this.#parts = parts;
      changes.forEach((change) => {
        change();
      });
      return;
    }
    next.dispose();
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
  #createWorkspace({ context, sizes, weights, kernels, heads }: WorkspaceParts, slots: number, taken = 0): Workspace {
    const { maxFrames, maxLanes } = this.#capacity;
    const room = { slots, lanes: Math.min(slots, maxLanes), frames: maxFrames };
    const workspace = new Workspace(context, sizes, weights, kernels, heads, room);
    for (let slot = slots - 1; slot >= taken; slot--) {
      this.#free.push(slot);
    }
    return workspace;
  }
}
