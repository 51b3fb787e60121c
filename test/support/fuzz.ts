import { getHeapStatistics } from 'node:v8';
import { expect } from 'vitest';
import { RillError, type RillErrorCode } from '../../src/errors.ts';
import { randomSource } from '../../tools/runtime/random-model.ts';

/** A damaged file, and what was done to it. */
export interface Damaged {
  what: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Reads the whole of a file. @returns the bytes of what it gave */
export type Read = (bytes: Uint8Array<ArrayBuffer>) => number | Promise<number>;

export interface Limits {
  /** The errors that the format may raise. */
  codes: readonly RillErrorCode[];
  /** Bytes of the result for each byte of the file, at most. */
  growth: number;
  /** Bytes allocated on the way, garbage included, for each byte of the file, at most; 16 by default. */
  work?: number;
}

const WORK_PER_BYTE = 16;
/** What the engine and the test themselves allocate on the way. */
const WORK_SLACK = 24 << 20;
/** No file here takes a tenth of this, also on a busy machine. */
const MAX_MS = 5000;

const HOSTILE_LENGTHS = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 2 ** 32, 2 ** 53, 2 ** 63, 2 ** 64 - 2048];
/** Where a file's structure lies: at its beginning or at its end. */
const STRUCTURE_BYTES = 4000;

const DEEP = 20_000;
/** What a number or a string in a text is replaced by. */
const HOSTILE_TEXTS = [
  ...['', '0', '-0', '-1', '1.5', '2147483647', '4294967295', '9007199254740993', '1e308', '1e999', '0x10', 'NaN'],
  ...['null', 'true', '[]', '{}', '""', '"__proto__"', '"\ud800"', '{"toString":0,"valueOf":0}', '[[1],{"length":9}]'],
  '[1e308,1e308,0]',
  '7'.repeat(5000),
  '[0,'.repeat(DEEP) + '0' + ']'.repeat(DEEP),
];

/** A file cut off at every power of two, at its last byte, and one byte to either side of each. */
export function* truncations(file: Uint8Array): Generator<Damaged> {
  const lengths = new Set([0, file.length - 1]);
  for (let power = 1; power <= file.length; power *= 2) {
    [power - 1, power, power + 1].forEach((length) => lengths.add(length));
  }
  for (const length of lengths) {
    if (length < file.length) {
      yield { what: `cut off after ${length} bytes`, bytes: file.slice(0, length) };
    }
  }
}

/** A file with one bit flipped, `count` times at seeded places: anywhere, near its beginning, near its end. */
export function* bitFlips(file: Uint8Array, count: number): Generator<Damaged> {
  for (const { at, index } of places(file.length, count)) {
    yield flipped(file, at, index % 8);
  }
}

/** Every bit of every one of the bytes given flipped, one at a time. */
export function* bitFlipsAt(file: Uint8Array, offsets: Iterable<number>): Generator<Damaged> {
  for (const at of offsets) {
    for (let bit = 0; bit < 8; bit++) {
      yield flipped(file, at, bit);
    }
  }
}

function flipped(file: Uint8Array, at: number, bit: number): Damaged {
  const bytes = file.slice();
  bytes[at] ^= 1 << bit;
  return { what: `bit ${bit} of byte ${at} flipped`, bytes };
}

/** A file with hostile lengths written over its bytes at `count` seeded places, as 32 and 64 bits in both orders. */
export function* hostileLengths(file: Uint8Array, count: number): Generator<Damaged> {
  for (const { at, index } of places(file.length, count)) {
    yield* overwritten(file, at, HOSTILE_LENGTHS[index % HOSTILE_LENGTHS.length]);
  }
}

/** Every hostile length at every one of the places given. */
export function* hostileLengthsAt(file: Uint8Array, offsets: Iterable<number>): Generator<Damaged> {
  for (const at of offsets) {
    for (const value of HOSTILE_LENGTHS) {
      yield* overwritten(file, at, value);
    }
  }
}

function* overwritten(file: Uint8Array, at: number, value: number): Generator<Damaged> {
  for (const littleEndian of [true, false]) {
    for (const width of [4, 8]) {
      const start = Math.max(0, Math.min(at, file.length - width));
      if (width > file.length || (width === 4 && value >= 2 ** 32)) {
        continue;
      }
      const bytes = file.slice();
      const view = new DataView(bytes.buffer);
      if (width === 4) {
        view.setUint32(start, value, littleEndian);
      } else {
        view.setBigUint64(start, BigInt(value), littleEndian);
      }
      yield { what: `${value} over ${width} bytes at ${start}, ${littleEndian ? 'little' : 'big'}-endian`, bytes };
    }
  }
}

function* places(length: number, count: number): Generator<{ at: number; index: number }> {
  const next = randomSource(length + count);
  const near = Math.min(length, STRUCTURE_BYTES);
  for (let index = 0; index < count; index++) {
    const fraction = (next() + 1) / 2;
    const offset = Math.floor(fraction * (index % 3 === 0 ? length : near));
    yield { at: index % 3 === 2 ? length - 1 - offset : offset, index };
  }
}

/** A text with each of its numbers, words and strings replaced by hostile ones, and with all of it repeated. */
export function* hostileTexts(text: string): Generator<{ what: string; text: string }> {
  for (const { 0: found, index } of text.matchAll(/"[^"]*"|'[^']*'|[^\s"'[\]{}(),:]+/g)) {
    for (const hostile of HOSTILE_TEXTS) {
      const shown = hostile.length > 40 ? `${hostile.slice(0, 40)}…` : hostile;
      const damaged = text.slice(0, index) + hostile + text.slice(index + found.length);
      yield { what: `${found} at ${index} replaced by ${JSON.stringify(shown)}`, text: damaged };
    }
  }
  yield { what: 'repeated', text: text + text };
}

/** V8's own count: `process.memoryUsage` asks the system, too, which takes three times as long. */
const heldBytes = () => {
  const { used_heap_size: heap, external_memory: buffers } = getHeapStatistics();
  return heap + buffers;
};

/** Reads a damaged file: a RillError comes back, or the bytes of a valid result; anything else fails the test. */
export async function attempt({ what, bytes }: Damaged, read: Read, limits: Limits): Promise<RillError | number> {
  const before = heldBytes();
  const start = performance.now();
  let outcome: unknown;
  try {
    outcome = await read(bytes);
  } catch (error) {
    outcome = error;
  }
  const milliseconds = performance.now() - start;
  const work = heldBytes() - before;
  const { codes, growth, work: workPerByte = WORK_PER_BYTE } = limits;
  // Plain comparisons: tens of thousands of cases go through here.
  if (!(milliseconds < MAX_MS)) {
    expect.fail(`a file ${what}: took ${milliseconds} ms`);
  }
  if (!(work < WORK_SLACK + workPerByte * bytes.length)) {
    expect.fail(`a file of ${bytes.length} bytes, ${what}: took ${work} bytes of memory`);
  }
  if (typeof outcome === 'number') {
    if (!(outcome <= growth * bytes.length)) {
      expect.fail(`a file of ${bytes.length} bytes, ${what}: gave ${outcome} bytes`);
    }
    return outcome;
  }
  if (!(outcome instanceof RillError)) {
    expect.fail(`a file ${what}: ${outcome instanceof Error ? outcome.stack : String(outcome)}`);
  }
  if (!codes.includes(outcome.code) || [outcome.got, outcome.expected, outcome.remedy].includes('')) {
    expect.fail(`a file ${what}: an error ${outcome.code}: ${outcome.message}`);
  }
  if (outcome.message.length > 1000) {
    expect.fail(`a file ${what}: a message of ${outcome.message.length} characters`);
  }
  return outcome;
}

/** Every one of the files is refused. @returns how many there were */
export async function expectRefused(files: Iterable<Damaged>, read: Read, limits: Limits): Promise<number> {
  let count = 0;
  for (const file of files) {
    const outcome = await attempt(file, read, limits);
    if (typeof outcome === 'number') {
      expect.fail(`a file ${file.what}: read as if it were whole`);
    }
    count++;
  }
  expect(count).toBeGreaterThan(0);
  return count;
}

/** Every one of the files is refused, or read as far as the damage allows. @returns how many were refused */
export async function expectSurvived(files: Iterable<Damaged>, read: Read, limits: Limits): Promise<number> {
  let [count, refused] = [0, 0];
  for (const file of files) {
    refused += typeof (await attempt(file, read, limits)) === 'number' ? 0 : 1;
    count++;
  }
  expect(count).toBeGreaterThan(0);
  return refused;
}
