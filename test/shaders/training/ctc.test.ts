import * as kernels from '../../../src/training/kernels.generated.ts';
import type { Tolerance } from '../../support/close.ts';
import { poison, randoms } from '../../support/random.ts';
import { ctcUtterance, extendedLabels } from '../../../src/training/cpu/ctc.ts';
import { logSoftmax } from '../../../src/training/cpu/log-softmax.ts';
import { describeKernel, padded, words } from '../harness.ts';

/** States that are hardly possible, at -60, are rounded to 4e-6 in each of up to 90 frames. */
const TOLERANCE: Tolerance = { absolute: 4e-5, relative: 4e-6 };

/** What stands for a path that cannot be. */
const IMPOSSIBLE = -1e30;

interface Utterance {
  frames: number;
  target: readonly number[];
  scale: number;
  isFeasible?: boolean;
}

interface Shape {
  name: string;
  width: number;
  /** Of logits. */
  spread: number;
  utterances: readonly Utterance[];
}

const count = (first: number, length: number) => Array.from({ length }, (_, k) => first + k);

const SMALLEST: Shape = { name: 'one frame', width: 1, spread: 1, utterances: [{ frames: 1, target: [], scale: 1 }] };
const SMALL: Shape = {
  name: 'two utterances',
  width: 3,
  spread: 1,
  utterances: [
    { frames: 3, target: [1, 1], scale: 1 },
    { frames: 2, target: [2], scale: 0.5 },
  ],
};
const RAGGED: Shape = {
  name: 'equal labels, none, one frame, just enough frames',
  width: 13,
  spread: 4,
  utterances: [
    { frames: 21, target: [3, 5, 5, 5, 1, 12], scale: 0.3 },
    { frames: 17, target: [], scale: 1 },
    { frames: 1, target: [7], scale: 2 },
    { frames: 7, target: [3, 3, 3, 4, 5], scale: 1 },
    { frames: 1, target: [], scale: 1 },
  ],
};
/** More states, and more classes, than a workgroup has threads. */
const LONG: Shape = {
  name: 'long targets, peaked',
  width: 70,
  spread: 30,
  utterances: [
    { frames: 75, target: count(1, 69), scale: 1 },
    { frames: 61, target: count(30, 40), scale: 1 / 3 },
    { frames: 90, target: [9, ...count(9, 50)], scale: 1 },
  ],
};

/** Utterances' lattices as kernels have them: poison where nothing may be read, or written. */
function latticeOf({ name, width, spread, utterances }: Shape) {
  const most = {
    frames: Math.max(...utterances.map(({ frames }) => frames)),
    states: Math.max(...utterances.map(({ target }) => 2 * target.length + 1)),
  };
  const [lanes, stride] = [utterances.length, padded(width)];
  const rows = lanes * most.frames;
  const buffers = {
    log_probs: poison((rows + 1) * stride),
    labels: new Uint32Array(lanes * most.states).fill(width),
    utterances: new Uint32Array(4 * lanes),
    step: words(lanes, most.frames),
    lattice: words(most.states),
  };
  const expected = {
    losses: new Float64Array(lanes + 1).fill(NaN),
    alpha: new Float64Array((rows + 1) * most.states).fill(NaN),
    beta: new Float64Array((rows + 1) * most.states).fill(NaN),
    dlogits: new Float64Array((rows + 1) * stride).fill(0, 0, rows * stride).fill(NaN, rows * stride),
  };
  utterances.forEach(({ frames, target, scale, isFeasible = true }, n) => {
    const logProbs = Float32Array.from(logSoftmax(randoms(frames * width, 71 + n, spread), width));
    const twin = ctcUtterance(Float64Array.from(logProbs), target, width);
    const states = 2 * target.length + 1;
    const bits = new Uint32Array(Float32Array.of(scale).buffer);
    buffers.labels.set(extendedLabels(target), n * most.states);
    buffers.utterances.set([frames, states, bits[0], Number(isFeasible)], 4 * n);
    expected.losses[n] = twin.loss;
    for (let t = 0; t < frames; t++) {
      const row = t * lanes + n;
      const possible = (values: Float64Array) =>
        values.subarray(t * states, (t + 1) * states).map((value) => Math.max(value, IMPOSSIBLE));
      const gradient = twin.dLogits.subarray(t * width, (t + 1) * width);
      buffers.log_probs.set(logProbs.subarray(t * width, (t + 1) * width), row * stride);
      expected.dlogits.set(
        gradient.map((value) => (isFeasible ? scale * value : scale)),
        row * stride,
      );
      if (isFeasible) {
        expected.alpha.set(possible(twin.alpha), row * most.states);
        expected.beta.set(possible(twin.beta), row * most.states);
      }
    }
  });
  return { name, overrides: { width }, buffers, expected, lanes, rows };
}

/** Labels that do not fit: without a gradient, or with one that is not a number. */
const INFEASIBLE: Shape = {
  name: 'labels that do not fit',
  width: 5,
  spread: 1,
  utterances: [
    { frames: 3, target: [1, 1, 2], scale: 0, isFeasible: false },
    { frames: 5, target: [1, 2], scale: 0.5 },
    { frames: 2, target: [4, 4], scale: NaN, isFeasible: false },
  ],
};

const feasible = [SMALLEST, SMALL, RAGGED, LONG].map(latticeOf);
const raced = <Case extends { name: string }>(cases: readonly Case[]) =>
  cases.filter(({ name }) => name === SMALL.name);

const alphas = feasible.map(({ name, overrides, buffers, expected, lanes }) => ({
  name,
  overrides,
  buffers: { ...buffers, alpha: poison(expected.alpha.length), losses: poison(lanes + 1) },
  workgroups: [lanes, 1, 1] as const,
  expected: { alpha: expected.alpha, losses: expected.losses },
}));
describeKernel(kernels.ctcAlpha, alphas, { tolerance: TOLERANCE, raced: raced(alphas) });

const betas = feasible.map(({ name, overrides, buffers, expected, lanes }) => ({
  name,
  overrides,
  buffers: { ...buffers, beta: poison(expected.beta.length) },
  workgroups: [lanes, 1, 1] as const,
  expected: { beta: expected.beta },
}));
describeKernel(kernels.ctcBeta, betas, { tolerance: TOLERANCE, raced: raced(betas) });

const gradients = [...feasible, latticeOf(INFEASIBLE)].map(({ name, overrides, buffers, expected, rows }) => ({
  name,
  overrides,
  buffers: {
    ...buffers,
    alpha: Float32Array.from(expected.alpha),
    beta: Float32Array.from(expected.beta),
    dlogits: poison(expected.dlogits.length),
  },
  workgroups: [rows + 1, 1, 1] as const,
  expected: { dlogits: expected.dlogits },
}));
describeKernel(kernels.ctcGradient, gradients, { tolerance: TOLERANCE, raced: raced(gradients) });
