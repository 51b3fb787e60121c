import { expect } from 'vitest';
import { createMemory, loadKernels, type Address, type Kernels } from '../../src/wasm/kernels.ts';
import { expectSameBytes, type Tolerance } from '../support/close.ts';

/**
 * A dozen or two float32 operations away from float64: sums of up to a few hundred products of magnitude one, in blocks,
 * and exp within an ulp or two.
 */
export const KERNEL_TOLERANCE: Tolerance = { absolute: 4e-6, relative: 4e-6 };

type Values = Float32Array | Int8Array | Int16Array;

/** What stands before and after each array: a kernel that writes there is found out. */
const GUARD = new Float32Array(16).fill(NaN);
/** Arrays start here: the first bytes are `touch`'s. */
const FIRST = 64;
const PAGE = 65536;

/** The kernels over a memory, with arrays one behind the other. */
export class Bench {
  readonly kernels: Kernels;
  readonly #memory: WebAssembly.Memory;
  readonly #guards: Address[] = [];
  #top = FIRST;

  private constructor(kernels: Kernels, memory: WebAssembly.Memory) {
    this.kernels = kernels;
    this.#memory = memory;
  }

  static async open(): Promise<Bench> {
    const memory = createMemory();
    return new Bench(await loadKernels(memory), memory);
  }

  /** Copies an array in. @returns where it lies */
  put(values: Values): Address {
    this.#guard();
    const at = this.#append(values);
    this.#guard();
    return at;
  }

  /** What lies there now. */
  floats(at: Address, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, length).slice();
  }

  shorts(at: Address, length: number): Int16Array {
    return new Int16Array(this.#memory.buffer, at, length).slice();
  }

  /** Nothing between the arrays was written to. */
  checkGuards(): void {
    for (const at of this.#guards) {
      expectSameBytes(this.floats(at, GUARD.length), GUARD, `guard at ${at}`);
    }
    expect(this.#guards.length).toBeGreaterThan(0);
  }

  #guard(): void {
    this.#guards.push(this.#append(GUARD));
  }

  #append(values: Values): Address {
    const at = this.#top;
    this.#top += 64 * Math.ceil(values.byteLength / 64);
    const missing = this.#top - this.#memory.buffer.byteLength;
    if (missing > 0) {
      this.#memory.grow(Math.ceil(missing / PAGE));
    }
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.#memory.buffer).set(bytes, at);
    return at;
  }
}

/** (inputs, outputs) as the panels of linear.ts and conv.ts: (outputs / 8, inputs, 8). */
export function panels(weight: Float32Array, inputs: number, outputs: number): Float32Array<ArrayBuffer> {
  return weight.slice().map((_, i) => {
    const panel = Math.floor(i / (8 * inputs));
    const [k, lane] = [Math.floor(i / 8) % inputs, i % 8];
    return weight[k * outputs + 8 * panel + lane];
  });
}

/** (inputs, outputs) as the panels of linear-int8.ts: (outputs / 8, inputs / 2, 8, 2). */
export function pairPanels(weight: Int8Array, inputs: number, outputs: number): Int8Array<ArrayBuffer> {
  return weight.slice().map((_, i) => {
    const panel = Math.floor(i / (8 * inputs));
    const pair = Math.floor(i / 16) % (inputs / 2);
    const [lane, second] = [Math.floor(i / 2) % 8, i % 2];
    return weight[(2 * pair + second) * outputs + 8 * panel + lane];
  });
}
