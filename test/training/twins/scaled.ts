/**
 * icefall's parametrisation: stored w with a learned log-scale s.
 *
 *     W = w e^s;   dw = dW e^s;   ds = Σ dW ∘ W
 *
 * Forward and backward know W alone, the optimizer w and s. A tensor without a scale is its own W.
 */
import { weightOf, type Gradients } from './weights.ts';

type Stored = ReadonlyMap<string, Float64Array>;

export const scaleName = (name: string) => `${name}_scale`;
const factorOf = (stored: Stored, name: string) => Math.exp(stored.get(scaleName(name))?.[0] ?? 0);

/** W of all tensors that are not scales. */
export function effectiveWeights(stored: Stored): Map<string, Float64Array> {
  const names = [...stored.keys()].filter((name) => !name.endsWith('_scale'));
  return new Map(names.map((name) => [name, weightOf(stored, name).map((w) => w * factorOf(stored, name))]));
}

/** Gradients of w and s, from those of W. */
export function scaledGradients(stored: Stored, gradients: Gradients): Gradients {
  const effective = effectiveWeights(stored);
  const scaled: Gradients = new Map();
  gradients.forEach((gradient, name) => {
    scaled.set(
      name,
      gradient.map((value) => value * factorOf(stored, name)),
    );
    if (stored.has(scaleName(name))) {
      const weight = weightOf(effective, name);
      scaled.set(scaleName(name), Float64Array.of(gradient.reduce((sum, value, k) => sum + value * weight[k], 0)));
    }
  });
  return scaled;
}
