/**
 * The loss that teaches a phrase as one new token k: exactly one frame of a window W says k, all others blank.
 *
 *     r_t = lp_t(k) − lp_t(0);  w = softmax_{t∈W}(r), 0 outside W;  lp = log-softmax(logits)
 *     loss = −Σ_t lp_t(0) − log Σ_{t∈W} e^{r_t}
 *     dlogits_t = softmax_t − (1 − w_t) onehot(0) − w_t onehot(k)
 *
 * Without a phrase (k = 0) all frames say blank.
 */
import { logSoftmax } from './log-softmax.ts';
import { logSumExp, type Numbers } from './numbers.ts';

export interface SpikeTarget {
  /** k; 0 where nothing is said. */
  token: number;
  /** W: its first frame, and the one behind its last. */
  window: readonly number[];
}

/** One utterance: logits (T', V). */
export function spikeLoss(
  logits: Numbers,
  { token, window: [first, end] }: SpikeTarget,
  vocabSize: number,
): { loss: number; dLogits: Float64Array } {
  const logProbs = logSoftmax(logits, vocabSize);
  const frames = logProbs.length / vocabSize;
  const dLogits = logProbs.map(Math.exp);
  let loss = 0;
  for (let t = 0; t < frames; t++) {
    loss -= logProbs[t * vocabSize];
    dLogits[t * vocabSize] -= 1;
  }
  if (token !== 0) {
    const ratio = (t: number) => logProbs[t * vocabSize + token] - logProbs[t * vocabSize];
    const sum = logSumExp(Array.from({ length: end - first }, (_, k) => ratio(first + k)));
    loss -= sum;
    for (let t = first; t < end; t++) {
      const weight = Math.exp(ratio(t) - sum);
      dLogits[t * vocabSize] += weight;
      dLogits[t * vocabSize + token] -= weight;
    }
  }
  return { loss, dLogits };
}
