/** Weights and gradients of a network, by icefall's names. */
import type { Numbers } from './numbers.ts';

export type Weights = ReadonlyMap<string, Numbers>;
export type Gradients = Map<string, Float64Array>;

export function weightOf<Values>(weights: ReadonlyMap<string, Values>, name: string): Values {
  const weight = weights.get(name);
  if (!weight) {
    throw new Error(`no weight ${name}`);
  }
  return weight;
}
