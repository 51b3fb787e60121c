/**
 * Dropout by a given mask, of 1 where an element is kept and 0 where it is dropped.
 *
 *     y = D ∘ x,  D = mask / (1 − p)
 *     dx = D ∘ dy: the same function
 *
 * Without a mask nothing is dropped.
 */
import type { Numbers } from './numbers.ts';

export function dropout(x: Numbers, mask: Numbers | undefined, probability: number): Float64Array {
  return Float64Array.from(x, (value, k) => (mask ? (value * mask[k]) / (1 - probability) : value));
}
