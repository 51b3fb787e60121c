import { expect } from 'vitest';

/** |actual - expected| <= absolute + relative * |expected|, NaN equal to NaN. */
export interface Tolerance {
  absolute: number;
  relative: number;
}

/** Compares element by element; a failure names the worst element, its index and both values. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { absolute, relative }: Tolerance,
  label = 'array',
): void {
  expect(actual.length, `length of ${label}`).toBe(expected.length);
  let worst = 0;
  let index = -1;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i], expected[i]];
    const excess = Object.is(a, e) || a === e ? 0 : Math.abs(a - e) / (absolute + relative * Math.abs(e));
    if (!(excess <= worst)) {
      worst = excess;
      index = i;
      if (Number.isNaN(excess)) {
        break;
      }
    }
  }
  if (!(worst <= 1)) {
    expect.fail(
      `${label}[${index}] is ${actual[index]}, expected ${expected[index]} (${worst.toPrecision(3)} times the tolerance)`,
    );
  }
}

/** Compares as gradients are compared: |actual - expected| <= share * max |expected| of the whole array. */
export function expectWithinShare(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
  label?: string,
): void {
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  expectClose(actual, expected, { absolute: share * largest, relative: 0 }, label);
}

export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(actual[i] - expected[i]));
  }
  return largest;
}

/** Byte for byte: what exactness means here. */
export function expectSameBytes(actual: Float32Array, expected: Float32Array, label: string): void {
  expect(actual.length, `length of ${label}`).toBe(expected.length);
  const [a, e] = [actual, expected].map((values) => new Uint32Array(values.slice().buffer));
  const index = a.findIndex((bits, i) => bits !== e[i]);
  if (index >= 0) {
    expect.fail(`${label}[${index}] is ${actual[index]}, expected exactly ${expected[index]}`);
  }
}
