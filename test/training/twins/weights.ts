/** Weights and gradients of a network, by icefall's names. */
import type { Numbers } from './numbers.ts';

export type Weights = ReadonlyMap<string, Numbers>;
export type Gradients = Map<string, Float64Array>;

export function weightOf(weights: Weights, name: string): Numbers {
  const weight = weights.get(name);
  if (!weight) {
    throw new Error(`no weight ${name}`);
  }
  return weight;
}
