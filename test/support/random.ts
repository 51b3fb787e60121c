import { randomSource } from '../../tools/runtime/random-model.ts';

/** `length` deterministic numbers in [-scale, scale). */
export function randoms(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  const next = randomSource(seed);
  return new Float32Array(length).map(() => scale * next());
}

/** What an output is filled with before a kernel runs: it must overwrite all that is its own, and nothing else. */
export const poison = (length: number) => new Float32Array(length).fill(NaN);

/** (rows, width) with random elements, each row padded with zeros to `stride`. */
export function paddedRows(
  rows: number,
  width: number,
  stride: number,
  seed: number,
  scale = 1,
): Float32Array<ArrayBuffer> {
  const values = randoms(rows * stride, seed, scale);
  return values.map((value, i) => (i % stride < width ? value : 0));
}
