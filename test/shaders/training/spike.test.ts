import * as kernels from '../../../src/training/kernels.generated.ts';
import { byFrame } from '../../support/batch-rows.ts';
import { poison, randoms } from '../../support/random.ts';
import { logSoftmax, logSumExp } from '../../../src/training/cpu/log-softmax.ts';
import { spikeLoss } from '../../../src/training/cpu/spike.ts';
import type { Spike } from '../../../src/training/losses/targets.ts';
import { describeKernel, padded, words } from '../harness.ts';

interface Utterance extends Partial<Spike> {
  length: number;
  /** Its window is marked as outside: then its gradient is not a number. */
  isOutside?: boolean;
}

/** Frames beyond an utterance's end; more than a workgroup has threads; an utterance that another loss has. */
const BATCHES: readonly { frames: number; width: number; batch: readonly Utterance[] }[] = [
  { frames: 1, width: 2, batch: [{ length: 1, token: 1, window: [0, 1] }] },
  {
    frames: 7,
    width: 13,
    batch: [
      { length: 7, token: 9, window: [2, 5] },
      { length: 4, token: 0, window: [0, 0] },
      { length: 5 },
      { length: 3, token: 4, window: [0, 0], isOutside: true },
      { length: 6, token: 12, window: [5, 6] },
    ],
  },
  {
    frames: 139,
    width: 3,
    batch: [
      { length: 139, token: 2, window: [3, 131] },
      { length: 138, token: 1, window: [0, 138] },
    ],
  },
];

const CASES = BATCHES.map(({ frames, width, batch }) => {
  const utterances = batch.length;
  const size = { utterances, frames, width };
  const logits = randoms(utterances * frames * width, 71, 3);
  const logProbs = Float32Array.from(logSoftmax(logits, width));
  const table = new DataView(new ArrayBuffer(24 * utterances));
  const [windows, losses, gradients] = [utterances, utterances, logits.length].map((n) =>
    new Float64Array(n).fill(NaN),
  );
  batch.forEach(({ length, token, window, isOutside }, n) => {
    if (token === undefined || !window) {
      return;
    }
    const scale = isOutside ? NaN : 0.5 + n;
    [length, token, ...window].forEach((word, k) => {
      table.setUint32(24 * n + 4 * k, word, true);
    });
    table.setFloat32(24 * n + 16, scale, true);
    table.setUint32(24 * n + 20, 1, true);
    const start = n * frames * width;
    const own = logProbs.subarray(start, start + length * width);
    const said = isOutside ? 0 : token;
    const { loss, dLogits } = spikeLoss(own, { token: said, window }, width);
    const [first, end] = window;
    const ratios = Array.from(
      { length: end - first },
      (_, t) => own[(first + t) * width + token] - own[(first + t) * width],
    );
    windows[n] = said === 0 ? 0 : logSumExp(ratios);
    losses[n] = loss;
    gradients.fill(0, start, start + frames * width);
    gradients.set(
      dLogits.map((value) => scale * value),
      start,
    );
  });
  const rows = byFrame(gradients, size);
  const stride = padded(width);
  const isOwn = (i: number) => batch[Math.floor(i / stride) % utterances].token !== undefined;
  // What pads a row is written with it.
  const dlogits = rows.map((value, i) => (isOwn(i) ? value : NaN));
  return {
    name: `${utterances} utterances of ${frames} frames, ${width} classes`,
    given: {
      log_probs: Float32Array.from(byFrame(logProbs, size)),
      spikes: new Uint32Array(table.buffer),
      step: words(utterances, frames),
    },
    overrides: { width },
    utterances,
    windows,
    losses,
    dlogits,
    rows: utterances * frames,
  };
});

describeKernel(
  kernels.spikeLoss,
  CASES.map(({ name, given, overrides, utterances, windows, losses }) => ({
    name,
    overrides,
    buffers: { ...given, windows: poison(utterances), losses: poison(utterances) },
    workgroups: [utterances, 1, 1] as const,
    expected: { windows, losses },
  })),
);

describeKernel(
  kernels.spikeGradient,
  CASES.map(({ name, given, overrides, windows, dlogits, rows }) => ({
    name,
    overrides,
    buffers: { ...given, windows: Float32Array.from(windows), dlogits: poison(dlogits.length) },
    // One row more than the batch has.
    workgroups: [rows + 1, 1, 1] as const,
    expected: { dlogits },
  })),
);
