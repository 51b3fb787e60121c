import { describe, it } from 'vitest';
import { expectClose, expectWithinShare } from '../support/close.ts';
import { expectGradients, randoms64 } from '../support/gradients.ts';
import { trainingArray, trainingJson } from '../support/training.ts';
import { spikeLoss } from '../../src/training/cpu/spike.ts';
import type { Spike } from '../../src/training/losses/targets.ts';

describe('spikeLoss', () => {
  it("equals PyTorch's float64", async () => {
    const golden = await trainingJson<{
      lens: number[];
      'token (0: none)': number[];
      'window (first, behind the last)': [number, number][];
      per_utterance: number[];
    }>('spike/loss.json');
    const { data, shape } = await trainingArray('spike/logits');
    const [, frames, vocabSize] = shape;
    const gradient = new Float64Array(data.length);
    const losses = golden.lens.map((length, n) => {
      const start = n * frames * vocabSize;
      const own = data.subarray(start, start + length * vocabSize);
      const target: Spike = {
        token: golden['token (0: none)'][n],
        window: golden['window (first, behind the last)'][n],
      };
      const { loss, dLogits } = spikeLoss(own, target, vocabSize);
      gradient.set(dLogits, start);
      return loss;
    });
    expectClose(losses, golden.per_utterance, { absolute: 0, relative: 1e-12 }, 'losses');
    expectWithinShare(gradient, (await trainingArray('spike/d_logits_sum')).data, 2 ** -23, 'd_logits');
  });

  it.each([0, 2])('has the gradients of finite differences for token %i', (token) => {
    const logits = randoms64(5 * 3, 1, 2);
    const loss = (values: Float64Array) => spikeLoss(values, { token, window: [1, 4] }, 3);
    expectGradients({ logits }, (given) => loss(given.logits).loss, { logits: loss(logits).dLogits });
  });
});
