/**
 * The loss that teaches a phrase as one new token k, in float64: the twin of the kernels spike_loss and spike_gradient.
 * Exactly one frame of a window W says k, all others blank.
 *
 *     r_t = lp_t(k) − lp_t(0);  w = softmax_{t∈W}(r), 0 outside W;  lp = log-softmax(logits)
 *     loss = −Σ_t lp_t(0) − log Σ_{t∈W} e^{r_t}
 *     dlogits_t = softmax_t − (1 − w_t) onehot(0) − w_t onehot(k)
 *
 * Without a phrase (k = 0) all frames say blank.
 */
import { windowOf, type Spike } from '../losses/targets.ts';
import { logSoftmax, logSumExp } from './log-softmax.ts';

/** One utterance: logits (T', V). */
export function spikeLoss(
  logits: ArrayLike<number>,
  spike: Spike,
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
  const { token } = spike;
  if (token !== 0) {
    const [first, end] = windowOf(spike, frames);
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
