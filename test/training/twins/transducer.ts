/**
 * The transducer loss over all alignments. A symbol stays on its frame (`regular`, δ = 0) or takes it (`modified`, δ = 1).
 *
 *     A(0,0) = 0;     A(t,u) = log(e^(A(t−1,u) + lp[t−1,u,0]) + e^(A(t−δ,u−1) + lp[t−δ,u−1,y_u]))
 *     B(T',U) = 0;    B(t,u) = log(e^(B(t+1,u) + lp[t,u,0]) + e^(B(t+δ,u+1) + lp[t,u,y_{u+1}])), nothing else at t = T'
 *     loss = −A(T',U)
 *     g[t,u,0] = −e^(A(t,u) + lp + B(t+1,u) + loss);   g[t,u,y_{u+1}] = −e^(A(t,u) + lp + B(t+δ,u+1) + loss)
 *     dlogits = g − softmax Σ_k g
 *
 * lp = log-softmax(logits) and logits (T', U + 1, V).
 */
import { logSoftmax, logSumExp } from '../../../src/training/cpu/log-softmax.ts';
import { logSoftmaxBackward } from './log-softmax.ts';
import type { Numbers } from './numbers.ts';

export type TransducerKind = 'regular' | 'modified';

/** One utterance, with A and B (T' + 1, U + 1). A target that does not fit has the loss ∞. */
export function transducerLoss(
  logits: Numbers,
  target: readonly number[],
  vocabSize: number,
  kind: TransducerKind,
): { loss: number; dLogits: Float64Array; A: Float64Array; B: Float64Array } {
  const width = target.length + 1;
  const frames = logits.length / width / vocabSize;
  const delta = kind === 'regular' ? 0 : 1;
  const logProbs = logSoftmax(logits, vocabSize);
  /** Place of a symbol's log-probability. */
  const at = (t: number, u: number, symbol: number) => (t * width + u) * vocabSize + symbol;
  const isInside = (t: number, u: number) => t >= 0 && t < frames && u >= 0 && u < width;
  const blank = (t: number, u: number) => (isInside(t, u) ? logProbs[at(t, u, 0)] : -Infinity);
  const symbol = (t: number, u: number) => (isInside(t, u) ? logProbs[at(t, u, target[u])] : -Infinity);

  const A = new Float64Array((frames + 1) * width);
  const B = new Float64Array((frames + 1) * width);
  const get = (lattice: Float64Array, t: number, u: number) =>
    t >= 0 && t <= frames && u >= 0 && u < width ? lattice[t * width + u] : -Infinity;
  for (let t = 0; t <= frames; t++) {
    for (let u = 0; u < width; u++) {
      const from = [get(A, t - 1, u) + blank(t - 1, u), get(A, t - delta, u - 1) + symbol(t - delta, u - 1)];
      A[t * width + u] = t === 0 && u === 0 ? 0 : logSumExp(from);
    }
  }
  for (let t = frames; t >= 0; t--) {
    for (let u = width - 1; u >= 0; u--) {
      const to = [
        get(B, t + 1, u) + blank(t, u),
        get(B, t + delta, u + 1) + (u + 1 < width ? symbol(t, u) : -Infinity),
      ];
      B[t * width + u] = t === frames && u === width - 1 ? 0 : logSumExp(to);
    }
  }
  const loss = -get(A, frames, width - 1);

  const g = new Float64Array(logits.length);
  for (let t = 0; t < frames; t++) {
    for (let u = 0; u < width; u++) {
      g[at(t, u, 0)] = -Math.exp(get(A, t, u) + blank(t, u) + get(B, t + 1, u) + loss);
      if (u + 1 < width) {
        g[at(t, u, target[u])] = -Math.exp(get(A, t, u) + symbol(t, u) + get(B, t + delta, u + 1) + loss);
      }
    }
  }
  return { loss, dLogits: logSoftmaxBackward({ dy: g, y: logProbs }, vocabSize), A, B };
}
