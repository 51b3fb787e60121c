/** Losses over the CTC head's output, on the GPU. */
import { afterAll, describe, expect, it } from 'vitest';
import { CtcLoss } from '../../src/training/losses/ctc.ts';
import { reduced, utterancesOf, type Utterance } from '../../src/training/losses/loss.ts';
import type { Target } from '../../src/training/losses/targets.ts';
import { SpikeLoss } from '../../src/training/losses/spike.ts';
import { OperationMaker } from '../../src/training/operations.ts';
import { BufferScope } from '../../src/webgpu/device/context.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { padded } from '../../src/webgpu/weights.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { byFrame, byUtterance } from '../support/batch-rows.ts';
import { expectWithinShare } from '../support/close.ts';
import { randoms } from '../support/random.ts';
import { trainingArray, trainingJson } from '../support/training.ts';
import { ctcUtterance } from '../../src/training/cpu/ctc.ts';
import { logSoftmax } from '../../src/training/cpu/log-softmax.ts';
import type { Numbers } from './twins/numbers.ts';
import { spikeLoss } from '../../src/training/cpu/spike.ts';

/** PyTorch's own float32 is off by up to 1.1e-5 of the largest gradient. */
const SHARE = 1e-5;

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

/** Losses, and the gradient of their weighed sum. @param logits (utterances, frames, width) */
async function lossesOf(logits: Numbers, utterances: readonly Utterance[], width: number) {
  const frames = Math.max(...utterances.map((each) => each.frames));
  const size = { utterances: utterances.length, frames, width };
  const scope = new BufferScope(context);
  const { queue } = context.device;
  const bytes = 4 * size.utterances * frames * padded(width);
  const logProbs = scope.createStorage('activations', 'log_probs', bytes);
  const dLogits = scope.createStorage('activations', 'd_logits', bytes);
  const losses = scope.createStorage('activations', 'losses', 4 * size.utterances);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const step = scope.createBuffer('activations', 'step', 16, usage);
  queue.writeBuffer(logProbs, 0, Float32Array.from(byFrame(logSoftmax(logits, width), size)));
  queue.writeBuffer(dLogits, 0, new Float32Array(bytes / 4).fill(NaN));
  queue.writeBuffer(step, 0, Uint32Array.of(size.utterances, frames));
  const buffers = { logProbs, dLogits, losses, step };
  const maker = new OperationMaker(scope);
  const parts = { context, maker, capacity: { ...size, labels: 4 }, vocabSize: width, ...buffers };
  const each = [await CtcLoss.create(parts), await SpikeLoss.create(parts)];
  const encoder = context.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (const loss of each) {
    loss.upload(utterances);
    loss.run(pass, size);
  }
  pass.end();
  queue.submit([encoder.finish()]);
  const read = await readBuffers(context, [{ buffer: losses, bytes: 4 * size.utterances }]);
  const gradient = await readBuffers(context, [{ buffer: dLogits, bytes }]);
  each.forEach((loss) => {
    loss.dispose();
  });
  scope.dispose();
  return { losses: read, dLogits: byUtterance(gradient, size) };
}

const counted = (target: Target, frames: number, weight = 1): Utterance => ({
  ...{ target, frames, weight, gradientWeight: weight },
  isFeasible: true,
});

describe('a spike', () => {
  it("has PyTorch's loss and gradient", async () => {
    const golden = await trainingJson<{
      lens: number[];
      'token (0: none)': number[];
      'window (first, behind the last)': [number, number][];
      per_utterance: number[];
    }>('spike/loss.json');
    const { data, shape } = await trainingArray('spike/logits');
    const utterances = golden.lens.map((frames, n) => {
      const token = golden['token (0: none)'][n];
      return counted({ token, window: golden['window (first, behind the last)'][n] }, frames);
    });
    const { losses, dLogits } = await lossesOf(data, utterances, shape[2]);
    expectWithinShare(losses, golden.per_utterance, SHARE, 'losses');
    expectWithinShare(dLogits, (await trainingArray('spike/d_logits_sum')).data, SHARE, 'd_logits');
  });
});

it('a batch has utterances of either loss, each with its weight', async () => {
  const [frames, width] = [9, 6];
  const labels = [3, 3, 1];
  const spike = { token: 5, window: [4, 20] as const };
  const unfit = { ...counted({ token: 5, window: [9, 12] }, 9), isFeasible: false, gradientWeight: 0 };
  const utterances = [
    ...[counted(labels, 8, 0.5), counted(spike, 9, 2), counted([], 9, 3)],
    ...[counted({ token: 0, window: [0, 0] }, 7, 0.25), unfit],
  ];
  const logits = randoms(utterances.length * frames * width, 5, 3);
  const { losses, dLogits } = await lossesOf(logits, utterances, width);
  const expected = utterances.map(({ target, frames: length, weight }, n) => {
    const start = n * frames * width;
    const own = Float64Array.from(logits.subarray(start, start + length * width));
    const gradient = new Float64Array(frames * width);
    if (n === 4) {
      return { loss: losses[n], gradient };
    }
    const { loss, dLogits: ofOne } =
      'token' in target
        ? spikeLoss(own, { ...target, window: [target.window[0], Math.min(target.window[1], length)] }, width)
        : ctcUtterance(own, target, width);
    gradient.set(ofOne.map((value) => weight * value));
    return { loss, gradient };
  });
  expectWithinShare(
    losses,
    expected.map(({ loss }) => loss),
    SHARE,
    'losses',
  );
  expectWithinShare(
    dLogits,
    expected.flatMap(({ gradient }) => [...gradient]),
    SHARE,
    'd_logits',
  );
});

it('the loss of a batch is weighed and scaled, by tokens for a mean; what does not fit counts nothing', () => {
  const batch = {
    lens: [17, 17, 17],
    targets: [[1, 2], { token: 3, window: [1, 2] as const }, [1, 1, 1, 1]],
    weights: [2, 3, 4],
  };
  const fits = (target: Target) => 'token' in target || target.length < 3;
  const mean = { reduction: 'mean', utterancesInStep: 6, scale: 10 } as const;
  const utterances = utterancesOf(batch, mean, fits);
  expect(utterances.map(({ frames }) => frames)).toEqual([3, 3, 3]);
  const { losses, loss } = reduced(Float32Array.of(6, 7, NaN), utterances, mean);
  expect(losses).toEqual([6, 7, 0]);
  expect(loss).toBeCloseTo(10 * ((2 * 6) / 12 + (3 * 7) / 6), 12);
  expect(reduced(Float32Array.of(6, 7, NaN), utterances, { ...mean, zeroInfinity: false }).loss).toBe(Infinity);
});
