/** What the float64 twins of training share. */

export type Numbers = ArrayLike<number>;

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** log Σ e^x; of nothing, or of −∞ alone, −∞. */
export function logSumExp(values: readonly number[] | Float64Array): number {
  let largest = -Infinity;
  for (const value of values) {
    largest = Math.max(largest, value);
  }
  if (largest === -Infinity) {
    return -Infinity;
  }
  let sum = 0;
  for (const value of values) {
    sum += Math.exp(value - largest);
  }
  return largest + Math.log(sum);
}
