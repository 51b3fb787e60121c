import { RillError } from '../errors.ts';
import { createMemory, type Address } from './kernels.ts';

/** Arrays start at lines of memory. The first is `touch`'s, see `wasm/touch.ts`. */
const LINE = 64;
/** What `touch` may read beyond the last array. */
const BEYOND = 256;
const PAGE = 65536;

/** `bytes` rounded up to whole lines. */
const inLines = (bytes: number) => LINE * Math.ceil(bytes / LINE);

/**
 * The memory that the kernels work on: arrays one behind the other, weights first, then what a step works with. It grows
 * and does not shrink; with the last reference to it it is given back.
 */
export class Heap {
  readonly memory: WebAssembly.Memory;
  #top = LINE;
  #floats: Float32Array<ArrayBuffer>;

  constructor() {
    try {
      this.memory = createMemory();
    } catch (cause) {
      throw noMemory('address space for the CPU’s engine', cause);
    }
    this.#floats = new Float32Array(this.memory.buffer);
  }

  /** Bytes in use. */
  get top(): number {
    return this.#top;
  }

  /**
   * Room for an array, with anything in it.
   *
   * @throws RillError `no-memory`.
   */
  take(bytes: number): Address {
    const at = this.#top;
    const top = at + inLines(bytes);
    const missing = top + BEYOND - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch (cause) {
        throw noMemory(`${Math.ceil(missing / 2 ** 20)} MiB more for the CPU’s engine, which has ${at >> 20}`, cause);
      }
    }
    this.#top = top;
    return at;
  }

  /** Room for so many floats. */
  takeFloats(count: number): Address {
    return this.take(4 * count);
  }

  /** What was taken from `top` on is free again. */
  truncate(top: number): void {
    this.#top = top;
  }

  /** All of the memory; until it grows, so not to be kept. */
  get floats(): Float32Array<ArrayBuffer> {
    if (this.#floats.buffer !== this.memory.buffer) {
      this.#floats = new Float32Array(this.memory.buffer);
    }
    return this.#floats;
  }

  /** An array of floats in it; not to be kept. */
  floatsAt(at: Address, count: number): Float32Array<ArrayBuffer> {
    return this.floats.subarray(at / 4, at / 4 + count);
  }
}

function noMemory(what: string, cause: unknown): RillError {
  return new RillError(
    'no-memory',
    {
      got: `no ${what}`,
      expected: 'memory for it',
      remedy: 'Take int8 weights or a smaller model, or fewer streams; other pages and programs may free some.',
    },
    { cause },
  );
}
