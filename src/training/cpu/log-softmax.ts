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

/** y = x − log Σ_k e^x_k of each row, in float64: (rows, width). */
export function logSoftmax(x: ArrayLike<number>, width: number): Float64Array {
  const y = Float64Array.from(x);
  for (let start = 0; start < y.length; start += width) {
    const row = y.subarray(start, start + width);
    const sum = logSumExp(row);
    row.forEach((value, k) => (row[k] = value - sum));
  }
  return y;
}
