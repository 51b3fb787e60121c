/** What the float64 twins of training share. */

export type Numbers = ArrayLike<number>;

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
