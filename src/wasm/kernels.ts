import { RillError } from '../errors.ts';
import { MEMORY_FLAGS_AT, MODULE } from './module.generated.ts';

/** An address in the module's memory, in bytes. */
export type Address = number;

/**
 * The kernels: what each computes, over which layouts, stands at the head of its file in `wasm/`. They check nothing.
 * Where numbers are finite they stay so; for others the bits of the results are not the same everywhere.
 */
export interface Kernels {
  add(x: Address, y: Address, count: number): void;
  basicNorm(x: Address, rows: number, width: number, stride: number, eps: number): void;
  basicNormGradient(x: Address, dy: Address, rows: number, width: number, stride: number, eps: number): number;
  columnSums(x: Address, sums: Address, rows: number, width: number): void;
  conv(
    weight: Address,
    bias: Address,
    x: Address,
    y: Address,
    times: number,
    freqs: number,
    channels: number,
    outFreqs: number,
    outputs: number,
    stride: number,
  ): void;
  ctcPick(
    logits: Address,
    picked: Address,
    rows: number,
    width: number,
    stride: number,
    blank: number,
    blankPenalty: number,
  ): void;
  doubleSwish(x: Address, count: number): void;
  doubleSwishGradient(x: Address, dy: Address, count: number): void;
  linear(
    weight: Address,
    bias: Address,
    x: Address,
    y: Address,
    rows: number,
    inputs: number,
    outputs: number,
    accumulate: boolean,
    far: boolean,
  ): void;
  linearInt8(
    weight: Address,
    scale: Address,
    bias: Address,
    x: Address,
    xScale: Address,
    y: Address,
    rows: number,
    inputs: number,
    outputs: number,
    accumulate: boolean,
    far: boolean,
  ): void;
  logSoftmax(x: Address, rows: number, width: number, stride: number): void;
  lstmCell(gates: Address, c: Address, m: Address, rows: number, hidden: number): void;
  lstmCellGradient(
    gates: Address,
    c: Address,
    cBefore: Address,
    dm: Address,
    dc: Address,
    rows: number,
    hidden: number,
  ): void;
  panels(x: Address, y: Address, rows: number, width: number): void;
  /** Of figures only: turns * 48 multiplications and additions of four floats. */
  peak(turns: number): number;
  quantizeRows(x: Address, quantized: Address, scale: Address, rows: number, width: number): void;
  transpose(x: Address, y: Address, rows: number, width: number): void;
}

/** What the module can address, in pages of 64 KiB; it asks for memory with this maximum. */
const MAXIMUM_PAGES = 65536;

/** Memory as the module takes it. @throws RangeError when there is no address space for it */
export const createMemory = ({ shared = false } = {}) =>
  new WebAssembly.Memory({ initial: 1, maximum: MAXIMUM_PAGES, shared });

/** Compiled once each: code that engines have made faster meanwhile serves the next encoder, too. */
const compiled: { own?: WebAssembly.Module; shared?: WebAssembly.Module } = {};

async function compile(memory: 'own' | 'shared' = 'own'): Promise<WebAssembly.Module> {
  return (compiled[memory] ??= await WebAssembly.compile(moduleBytes({ shared: memory === 'shared' })));
}

/** Whether there is WebAssembly with SIMD here, and a page's policy allows it. */
export const hasWasm = (): Promise<boolean> =>
  compile().then(
    () => true,
    () => false,
  );

/** The kernels of a compiled module over a memory: of its own, or shared, as the module was compiled for. */
export async function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Promise<Kernels> {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  // The one place where the module's exports get their types.
  return exports as unknown as Kernels;
}

/**
 * Compiles the kernels.
 *
 * @param shared for memory that threads share
 * @throws RillError `no-wasm` where WebAssembly with SIMD is missing or forbidden.
 */
export async function compileKernels({ shared = false } = {}): Promise<WebAssembly.Module> {
  try {
    return await compile(shared ? 'shared' : 'own');
  } catch (error) {
    throw new RillError(
      'no-wasm',
      {
        got: `no WebAssembly module (${error instanceof Error ? error.message : String(error)})`,
        expected: 'WebAssembly with SIMD',
        remedy: 'Use a browser of 2023 or later; a Content-Security-Policy must allow script-src ’wasm-unsafe-eval’.',
      },
      { cause: error },
    );
  }
}

/** The kernels over a memory that is not shared. @throws RillError `no-wasm`. */
export const loadKernels = async (memory: WebAssembly.Memory): Promise<Kernels> =>
  instantiate(await compileKernels(), memory);

/** The module, for memory of its own or, with `shared`, for memory that threads share. */
export function moduleBytes({ shared = false } = {}): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(atob(MODULE), (character) => character.charCodeAt(0));
  bytes[MEMORY_FLAGS_AT] |= shared ? 2 : 0;
  return bytes;
}
