import * as kernels from '../../../src/training/kernels.generated.ts';
import { poison, randoms } from '../../support/random.ts';
import { logSoftmax, logSumExp } from '../../../src/training/cpu/log-softmax.ts';
import { transducerLoss, type TransducerKind } from '../../training/twins/transducer.ts';
import { describeKernel, padded, words } from '../harness.ts';

interface Utterance {
  length: number;
  target: readonly number[];
  /** Its symbols are marked as too many: then its gradient is the scale, not a number here. */
  isInfeasible?: boolean;
}

/** More positions than a workgroup has threads; frames and symbols that pad; an utterance that does not fit. */
const BATCHES: readonly { width: number; batch: readonly Utterance[] }[] = [
  { width: 2, batch: [{ length: 1, target: [1] }] },
  {
    width: 7,
    batch: [
      { length: 5, target: [6, 1, 1] },
      { length: 9, target: [] },
      { length: 8, target: [2, 2, 2, 5, 1], isInfeasible: true },
      { length: 6, target: [4, 3, 4, 1, 2, 5] },
    ],
  },
  { width: 5, batch: [{ length: 75, target: Array.from({ length: 70 }, (_, u) => 1 + (u % 4)) }] },
];

/** What a kernel has where nothing is possible. */
const IMPOSSIBLE = Math.fround(-1e30);
const finite = (value: number) => (value === -Infinity ? IMPOSSIBLE : value);

function caseOf(kind: TransducerKind, { width, batch }: (typeof BATCHES)[number]) {
  const skew = kind === 'regular' ? 1 : 0;
  const utterances = batch.length;
  const frames = Math.max(...batch.map(({ length }) => length));
  const positions = 1 + Math.max(...batch.map(({ target }) => target.length));
  const lanes = utterances * positions;
  const steps = 1 + frames + skew * (positions - 1);
  const stride = padded(width);
  const logProbs = new Float32Array(frames * lanes * stride);
  const dLogits = new Float64Array(logProbs.length);
  const unknown = (length: number) => new Float64Array(length).fill(NaN);
  const [alpha, beta, totals] = [unknown(steps * lanes), unknown(steps * lanes), unknown(steps * utterances)];
  const losses = new Float64Array(utterances);
  const symbols = new Uint32Array(lanes);
  const table = new DataView(new ArrayBuffer(16 * utterances));

  batch.forEach(({ length, target, isInfeasible }, n) => {
    const own = target.length + 1;
    const logits = Float32Array.from(logSoftmax(randoms(length * own * width, 81 + n, 3), width));
    const rowOf = (t: number, u: number) => (t * lanes + n * positions + u) * stride;
    const { loss, dLogits: gradient, A, B } = transducerLoss(logits, target, width, kind);
    const scale = isInfeasible ? NaN : 0.5 + n;
    for (let t = 0; t < length; t++) {
      for (let u = 0; u < own; u++) {
        const from = (t * own + u) * width;
        logProbs.set(logits.subarray(from, from + width), rowOf(t, u));
        dLogits.set(
          gradient.subarray(from, from + width).map((value) => scale * value),
          rowOf(t, u),
        );
      }
    }
    losses[n] = loss;
    symbols.set(target, n * positions);
    [length, target.length].forEach((word, k) => {
      table.setUint32(16 * n + 4 * k, word, true);
    });
    table.setFloat32(16 * n + 8, scale, true);
    table.setUint32(16 * n + 12, isInfeasible ? 0 : 1, true);

    // A and B by steps, each normalised; behind the last frame only the end counts.
    const by = (lattice: Float64Array, k: number) =>
      Array.from({ length: own }, (_, u) => {
        const t = k - skew * u;
        const isNode = t >= 0 && (t < length || (t === length && u === own - 1));
        return isNode ? lattice[t * own + u] : -Infinity;
      });
    const last = length + skew * target.length;
    for (let k = 0; k <= last; k++) {
      const [a, b] = [by(A, k), by(B, k)];
      const ofNext = k < last ? logSumExp(by(B, k + 1)) : 0;
      const [sumA, sumB] = [logSumExp(a), logSumExp(b)];
      const place = (n * steps + k) * positions;
      alpha.set(
        a.map((value) => finite(value - sumA)),
        place,
      );
      beta.set(
        b.map((value) => finite(value - sumB)),
        place,
      );
      totals[n * steps + k] = logSumExp(a.map((value, u) => value - sumA + b[u] - ofNext));
    }
  });
  return {
    name: `${kind}, ${utterances} utterances of ${frames} frames, ${positions} positions, ${width} classes`,
    overrides: { width, skew },
    given: {
      symbols,
      utterances: new Uint32Array(table.buffer),
      lattice: words(positions, frames),
      step: words(lanes, frames),
    },
    utterances,
    rows: frames * lanes,
    ...{ logProbs, dLogits, alpha, beta, totals, losses },
  };
}

const CASES = BATCHES.flatMap((batch) => (['regular', 'modified'] as const).map((kind) => caseOf(kind, batch)));
const smallest = <Case>(cases: readonly Case[]) => ({ raced: cases.slice(0, 2) });

const alphas = CASES.map(({ name, overrides, given, utterances, logProbs, alpha, losses }) => ({
  name,
  overrides,
  buffers: { ...given, log_probs: logProbs, alpha: poison(alpha.length), losses: poison(losses.length) },
  workgroups: [utterances, 1, 1] as const,
  expected: { alpha, losses },
}));
describeKernel(kernels.transducerAlpha, alphas, smallest(alphas));

const betas = CASES.map(({ name, overrides, given, utterances, logProbs, alpha, beta, totals }) => ({
  name,
  overrides,
  buffers: {
    ...{ ...given, log_probs: logProbs, alpha: Float32Array.from(alpha) },
    ...{ beta: poison(beta.length), totals: poison(totals.length) },
  },
  workgroups: [utterances, 1, 1] as const,
  expected: { beta, totals },
}));
describeKernel(kernels.transducerBeta, betas, smallest(betas));

const gradients = CASES.map(({ name, overrides, given, rows, logProbs, dLogits, alpha, beta, totals }) => {
  // One row more than the batch has.
  const more = poison(logProbs.length + logProbs.length / rows);
  more.set(logProbs);
  const expected = new Float64Array(more.length).fill(NaN);
  expected.set(dLogits);
  return {
    name,
    overrides,
    buffers: {
      ...{ ...given, log_probs: more, totals: Float32Array.from(totals) },
      ...{ alpha: Float32Array.from(alpha), beta: Float32Array.from(beta) },
    },
    workgroups: [rows + 1, 1, 1] as const,
    expected: { log_probs: expected },
  };
});
describeKernel(kernels.transducerGradient, gradients, smallest(gradients));
