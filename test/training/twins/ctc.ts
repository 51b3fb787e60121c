/**
 * The CTC loss of a batch, see {@link ctcUtterance}.
 *
 * An utterance is feasible if T' ≥ U + the number of adjacent equal labels. Otherwise its loss is ∞ and its gradient NaN;
 * with zeroInfinity both are 0. Reduction `mean` is the mean over all N of loss / max(U, 1).
 */
import { ctcUtterance } from '../../../src/training/cpu/ctc.ts';
import type { Numbers } from './numbers.ts';

export type Reduction = 'sum' | 'mean';

export interface CtcSizes {
  /** T' of all utterances, padding included. */
  frames: number;
  /** V. */
  vocabSize: number;
}

export interface CtcLoss {
  /** (N), not reduced. */
  losses: Float64Array;
  /** Of the whole batch, reduced. */
  loss: number;
  /** (N, T', V) of the reduced loss; 0 past the length of an utterance. */
  dLogits: Float64Array;
}

/** Logits (N, T', V); `lens` (N) frames that count. */
export function ctcLoss(
  { logits, lens, targets }: { logits: Numbers; lens: readonly number[]; targets: readonly (readonly number[])[] },
  { frames, vocabSize }: CtcSizes,
  { reduction, zeroInfinity = true }: { reduction: Reduction; zeroInfinity?: boolean },
): CtcLoss {
  const batch = targets.length;
  const losses = new Float64Array(batch);
  const dLogits = new Float64Array(batch * frames * vocabSize);
  let loss = 0;
  targets.forEach((target, n) => {
    const start = n * frames * vocabSize;
    const own = Float64Array.from({ length: lens[n] * vocabSize }, (_, k) => logits[start + k]);
    const weight = reduction === 'mean' ? 1 / (batch * Math.max(target.length, 1)) : 1;
    const one = ctcUtterance(own, target, vocabSize);
    const isZero = zeroInfinity && one.loss === Infinity;
    losses[n] = isZero ? 0 : one.loss;
    loss += weight * losses[n];
    dLogits.set(
      one.dLogits.map((value) => (isZero ? 0 : weight * value)),
      start,
    );
  });
  return { losses, loss, dLogits };
}
