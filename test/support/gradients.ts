import { expectWithinShare } from './close.ts';
import { randoms } from './random.ts';

/** Central differences of a float64 function are right to the cube root of its precision, squared. */
const STEP = 2 ** -17;
const SHARE = 1e-7;

/** `length` deterministic numbers in [-scale, scale), in float64. */
export const randoms64 = (length: number, seed: number, scale = 1) => Float64Array.from(randoms(length, seed, scale));

/** Σ a ∘ b: the loss whose gradient with respect to `a` is `b`. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) {
    sum += a[k] * b[k];
  }
  return sum;
}

/**
 * Compares gradients with central finite differences of the loss.
 *
 * @param loss from inputs by their names
 * @param gradients of the loss with respect to the inputs, by the inputs' names
 */
export function expectGradients<Name extends string>(
  inputs: Readonly<Record<Name, Float64Array>>,
  loss: (inputs: Readonly<Record<Name, Float64Array>>) => number,
  gradients: Readonly<Record<Name, ArrayLike<number>>>,
): void {
  for (const name of Object.keys(inputs) as Name[]) {
    const shifted = (k: number, step: number) => {
      const moved = inputs[name].slice();
      moved[k] += step;
      return loss({ ...inputs, [name]: moved });
    };
    const differences = inputs[name].map((_, k) => (shifted(k, STEP) - shifted(k, -STEP)) / (2 * STEP));
    expectWithinShare(gradients[name], differences, SHARE, `gradient of ${name}`);
  }
}
