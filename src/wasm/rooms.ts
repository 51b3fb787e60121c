import type { EncoderSizes } from '../model/sizes.ts';
import type { Heap } from './memory.ts';
import { layOut, type HeadWidths, type Room, type Workspace } from './workspace.ts';

/** The workspaces of steps, one for each thread that was needed so far. They grow. */
export class Rooms {
  readonly #heap: Heap;
  readonly #sizes: EncoderSizes;
  readonly #onGrown: (bytes: number) => void;
  #spaces: readonly Workspace[] = [];
  /** Bytes of them, as they were told last. */
  #lent = 0;

  /** @param onGrown called with the bytes that they have grown by */
  constructor(heap: Heap, sizes: EncoderSizes, onGrown: (bytes: number) => void) {
    this.#heap = heap;
    this.#sizes = sizes;
    this.#onGrown = onGrown;
  }

  /**
   * Workspaces with room for a step: as they are, or all laid out anew.
   *
   * @param needed by each thread
   * @throws RillError `no-memory`.
   */
  fitting(needed: readonly Room[], heads: HeadWidths): readonly Workspace[] {
    const spaces = this.#spaces.filter(({ layout }) => layout === this.#heap.layout);
    const fits = (room: Room, { room: own, heads: places }: Workspace) =>
      isWithin(room, own) && Object.keys(heads).every((name) => Object.hasOwn(places, name));
    if (!needed.every((room, i) => i < spaces.length && fits(room, spaces[i]))) {
      const before = spaces.map(({ room }) => room);
      const threads = Math.max(needed.length, before.length);
      const rooms = Array.from({ length: threads }, (_, i) =>
        largest([...needed.slice(i, i + 1), ...before.slice(i, i + 1)]),
      );
      this.#spaces = layOut(this.#heap, this.#sizes, heads, rooms);
      this.#onGrown(this.#heap.lent - this.#lent);
      this.#lent = this.#heap.lent;
    }
    return this.#spaces;
  }
}

const isWithin = (needed: Room, { lanes, frames, rows }: Room) =>
  lanes >= needed.lanes && frames >= needed.frames && rows >= needed.rows;

/** Room for what a thread needs now, and had room for before. */
const largest = (rooms: readonly Room[]): Room => ({
  lanes: Math.max(...rooms.map(({ lanes }) => lanes)),
  frames: Math.max(...rooms.map(({ frames }) => frames)),
  rows: Math.max(...rooms.map(({ rows }) => rows)),
});
