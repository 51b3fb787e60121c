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
 * The memory that the kernels work on: weights, which stay, and behind them a workspace, which is laid out anew when a step
 * needs more room, or weights came. It grows and does not shrink; with the last reference to it it is given back.
 */
export class Heap {
  readonly memory: WebAssembly.Memory;
  #kept = LINE;
  #top = LINE;
  #layout = 0;
  #floats: Float32Array;

  /**
   * @param shared whether several threads work on it; only one of them grows it
   * @throws RillError `no-memory`.
   */
  constructor({ shared = false } = {}) {
    try {
      this.memory = createMemory({ shared });
    } catch (cause) {
      throw noMemory('address space for the engine on the CPU', cause);
    }
    this.#floats = new Float32Array(this.memory.buffer);
  }

  /** Bytes of weights. */
  get kept(): number {
    return this.#kept;
  }

  /** Bytes of the workspace. */
  get lent(): number {
    return this.#top - this.#kept;
  }

  /** Counts the workspaces: one that was laid out under another number is gone. */
  get layout(): number {
    return this.#layout;
  }

  /** Room for weights, zero. What was lent is gone. @throws RillError `no-memory`. */
  keep(bytes: number): Address {
    this.reclaim();
    const at = this.#take(bytes);
    this.#kept = this.#top;
    new Uint8Array(this.memory.buffer, at, bytes).fill(0);
    return at;
  }

  /** Room for an array of floats of the workspace, with anything in it. @throws RillError `no-memory`. */
  lend(count: number): Address {
    return this.#take(4 * count);
  }

  /** What was lent is gone. */
  reclaim(): void {
    this.#top = this.#kept;
    this.#layout++;
  }

  /** All of the memory; until it grows, so not to be kept. */
  get floats(): Float32Array {
    if (this.#floats.buffer !== this.memory.buffer) {
      this.#floats = new Float32Array(this.memory.buffer);
    }
    return this.#floats;
  }

  /** An array of floats in it; not to be kept. */
  floatsAt(at: Address, count: number): Float32Array {
    return this.floats.subarray(at / 4, at / 4 + count);
  }

  #take(bytes: number): Address {
    const at = this.#top;
    const top = at + inLines(bytes);
    const missing = top + BEYOND - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch (cause) {
        throw noMemory(`${inMiB(missing)} more for the engine on the CPU, which has ${inMiB(at)}`, cause);
      }
    }
    this.#top = top;
    return at;
  }
}

const inMiB = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

function noMemory(what: string, cause: unknown): RillError {
  const complaint = {
    got: `no ${what}`,
    expected: 'memory for it',
    remedy: 'Take int8 weights or a smaller model, or fewer streams; other pages and programs may free some.',
  };
  return new RillError('no-memory', complaint, { cause });
}
