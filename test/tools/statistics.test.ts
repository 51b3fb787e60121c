import { expect, it } from 'vitest';
import { percentile } from '../../tools/runtime/statistics.ts';

it('a percentile lies between two values in proportion', () => {
  const of = (values: number[]) => [0, 0.1, 0.5, 0.9, 1].map((share) => percentile(values, share));
  expect(of([3])).toEqual([3, 3, 3, 3, 3]);
  expect(of([30, 10])).toEqual([10, 12, 20, 28, 30]);
  expect(of([4, 1, 3, 2])).toEqual([1, 1.3, 2.5, 3.7, 4]);
  expect(of([5, 4, 3, 2, 1])).toEqual([1, 1.4, 3, 4.6, 5]);
});
