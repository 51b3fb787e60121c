/**
 * The CTC loss of an utterance, blank 0, with respect to logits, in float64: the twin of the kernels ctc_alpha, ctc_beta and
 * ctc_gradient.
 *
 * Extended labels l = (0, y1, 0, y2, …, 0), S = 2U + 1; skip(s) = l_s ≠ 0 and l_s ≠ l_{s−2}; lp = log-softmax(logits).
 *
 *     α_0(0) = lp_0(0), α_0(1) = lp_0(y1);   α_t(s) = lp_t(l_s) + log(e^α_{t−1}(s) + e^α_{t−1}(s−1) + [skip(s)] e^α_{t−1}(s−2))
 *     β_{T'−1}(S−1) = β_{T'−1}(S−2) = 0;     β_t(s) = log( … over s, s+1, [skip(s+2)] s+2 of e^(β_{t+1} + lp_{t+1}))
 *     γ_t = softmax_s(α_t + β_t);            dlogits_t(k) = softmax_t(k) − Σ_{s: l_s = k} γ_t(s)
 *
 * Each α_t and β_t is normalised by its log-sum as it is made (β_{T'−1}, too): loss = −Σ_t log-sums of α − log(e^α_{T'−1}(S−1) + e^α_{T'−1}(S−2)).
 *
 * Where the labels do not fit, see {@link framesNeeded}, the loss is ∞ and its gradient NaN.
 */
import { framesNeeded } from '../losses/targets.ts';
import { logSumExp } from './log-softmax.ts';

/** (0, y1, 0, y2, …, 0) */
export const extendedLabels = (target: readonly number[]) => [0, ...target.flatMap((label) => [label, 0])];

export interface CtcUtterance {
  loss: number;
  /** (T', V) */
  dLogits: Float64Array;
  /** (T', S), each row normalised. */
  alpha: Float64Array;
  beta: Float64Array;
}

/** One utterance: logits (T', V). */
export function ctcUtterance(logits: Float64Array, target: readonly number[], vocabSize: number): CtcUtterance {
  const frames = logits.length / vocabSize;
  const labels = extendedLabels(target);
  const states = labels.length;
  const alpha = new Float64Array(frames * states).fill(-Infinity);
  const beta = new Float64Array(frames * states).fill(-Infinity);
  if (frames < framesNeeded(target)) {
    return { loss: Infinity, dLogits: new Float64Array(logits.length).fill(NaN), alpha, beta };
  }
  const logSums = Float64Array.from({ length: frames }, (_, t) =>
    logSumExp(logits.subarray(t * vocabSize, (t + 1) * vocabSize)),
  );
  const logProb = (t: number, s: number) => logits[t * vocabSize + labels[s]] - logSums[t];
  const skip = (s: number) => s >= 2 && s < states && labels[s] !== 0 && labels[s] !== labels[s - 2];

  let loss = 0;
  for (let t = 0; t < frames; t++) {
    const row = alpha.subarray(t * states, (t + 1) * states);
    const before = (s: number) => (s >= 0 ? alpha[(t - 1) * states + s] : -Infinity);
    for (let s = 0; s < states; s++) {
      const from = [before(s), before(s - 1), skip(s) ? before(s - 2) : -Infinity];
      row[s] = logProb(t, s) + (t > 0 ? logSumExp(from) : s < 2 ? 0 : -Infinity);
    }
    loss -= normalise(row);
  }
  if (frames > 0) {
    loss -= logSumExp(alpha.subarray(frames * states - Math.min(states, 2)));
  }

  for (let t = frames - 1; t >= 0; t--) {
    const row = beta.subarray(t * states, (t + 1) * states);
    const after = (s: number) => (s < states ? beta[(t + 1) * states + s] + logProb(t + 1, s) : -Infinity);
    for (let s = 0; s < states; s++) {
      const isEnd = t === frames - 1;
      const to = () => [after(s), after(s + 1), skip(s + 2) ? after(s + 2) : -Infinity];
      row[s] = !isEnd ? logSumExp(to()) : s >= states - 2 ? 0 : -Infinity;
    }
    normalise(row);
  }

  const dLogits = Float64Array.from(logits, (value, k) => Math.exp(value - logSums[Math.floor(k / vocabSize)]));
  for (let t = 0; t < frames; t++) {
    const both = Float64Array.from({ length: states }, (_, s) => alpha[t * states + s] + beta[t * states + s]);
    normalise(both);
    labels.forEach((label, s) => (dLogits[t * vocabSize + label] -= Math.exp(both[s])));
  }
  return { loss, dLogits, alpha, beta };
}

/** Takes its log-sum from a row, and returns it. */
function normalise(row: Float64Array): number {
  const sum = logSumExp(row);
  row.forEach((value, s) => (row[s] = value - sum));
  return sum;
}
