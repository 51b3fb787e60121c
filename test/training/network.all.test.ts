import { describe, expect, it } from 'vitest';
import { encoderFrames } from '../../src/model/sizes.ts';
import { expectClose, expectWithinShare } from '../support/close.ts';
import {
  tensorOf,
  trainingArray,
  trainingCase,
  trainingJson,
  trainingTensors,
  weightsOf,
  type Expected,
  type Tensors,
  TRAINING_CASES,
} from '../support/training.ts';
import type { Reduction } from './twins/ctc.ts';
import { network, type NetworkResult } from './twins/network.ts';
import { networkDraws } from './twins/network-draws.ts';

/** Golden files are float64 rounded to float32: half a unit in the last place of the largest, doubled. */
const STORED = 2 ** -23;
const LOSS = { absolute: 0, relative: 1e-10 };

/** Compares those gradients that a golden file has. */
function expectGradients(gradients: NetworkResult['gradients'], expected: Tensors): void {
  for (const [name, { data }] of expected) {
    expectWithinShare(gradients.get(name) ?? [], data, STORED, name);
  }
}

function expectGolden({ losses, loss, arrays, gradients }: NetworkResult, expected: Expected): void {
  expectClose(losses, expected.lossPerUtterance, LOSS, 'losses');
  expectClose([loss], [expected[expected.reduction]], LOSS, 'loss');
  for (const [name, values] of arrays) {
    expectWithinShare(values, tensorOf(expected.arrays, name).data, STORED, name);
  }
  expect([...gradients.keys()].sort()).toEqual([...expected.grads.keys()].sort());
  expectGradients(gradients, expected.grads);
}

/** Features and lengths of a folder. */
async function batchIn(folder: string) {
  const { data: features } = await trainingArray(`${folder}/features`);
  const { data: lens } = await trainingArray(`${folder}/feature_lens`);
  return { features, lens: [...lens] };
}

describe('the network', () => {
  it.each(TRAINING_CASES)("has PyTorch's losses, activations and gradients: %s", async (name) => {
    const golden = await trainingCase(name);
    const weights = weightsOf(golden.model);
    const batch = { ...golden, features: golden.features.data };
    const inEval = network(weights, golden.config, batch, { reduction: golden.eval.reduction });
    expectGolden(inEval, golden.eval);
    const { train, draws } = golden;
    expectGolden(network(weights, golden.config, batch, { reduction: train.reduction, draws }), train);
  });

  it('gives nothing to utterances whose targets do not fit', async () => {
    const { config, model } = await trainingCase('small');
    const golden = await trainingJson<{
      targets: number[][];
      sum: { loss: number };
      mean: { loss: number };
      per_utterance_zero_infinity: number[];
    }>('small/infinite/loss.json');
    const batch = { ...(await batchIn('small/infinite')), targets: golden.targets };
    for (const reduction of ['sum', 'mean'] satisfies Reduction[]) {
      const { losses, loss, arrays, gradients } = network(weightsOf(model), config, batch, { reduction });
      expectClose(losses, golden.per_utterance_zero_infinity, LOSS, 'losses');
      expectClose([loss], [golden[reduction].loss], LOSS, reduction);
      const { data } = await trainingArray(`small/infinite/d_logits_${reduction}`);
      expectWithinShare(arrays.get('d_logits') ?? [], data, STORED, 'd_logits');
      expectGradients(gradients, await trainingTensors(`small/infinite/grads_${reduction}.pt`));
    }
  });

  it('adds up the gradient of a large batch from parts of any size', async () => {
    const { config, model } = await trainingCase('small');
    const { targets } = await trainingJson<{ targets: number[][] }>('small/accumulate/loss.json');
    const { features, lens } = await batchIn('small/accumulate');
    const size = features.length / lens.length;
    const sum: NetworkResult['gradients'] = new Map();
    for (const [first, end] of [
      [0, 3],
      [3, 4],
    ]) {
      const part = {
        features: features.subarray(first * size, end * size),
        lens: lens.slice(first, end),
        targets: targets.slice(first, end),
      };
      const { gradients } = network(weightsOf(model), config, part, { reduction: 'mean' });
      const share = (end - first) / lens.length;
      gradients.forEach((gradient, name) => {
        const before = sum.get(name) ?? new Float64Array(gradient.length);
        sum.set(
          name,
          gradient.map((value, k) => before[k] + share * value),
        );
      });
    }
    expectGradients(sum, await trainingTensors('small/accumulate/grads.pt'));
  });

  it('does not depend on what pads, nor on how far', async () => {
    const { config, model, features, lens, targets } = await trainingCase('noproj');
    const weights = weightsOf(model);
    const [batch, times, width] = features.shape;
    const run = (padded: ArrayLike<number>) => {
      const frames = encoderFrames(padded.length / batch / width);
      const rates = { layerDropout: 0.3, warmup: 0.5 };
      const draws = networkDraws({ seed: 7, microStep: 1 }, config, { batch, frames }, rates);
      return network(weights, config, { features: padded, lens, targets }, { reduction: 'mean', draws });
    };
    const longer = times + 9;
    const padded = new Float64Array(batch * longer * width).fill(3);
    lens.forEach((length, n) => {
      const start = n * times * width;
      padded.set(features.data.subarray(start, start + length * width), n * longer * width);
    });
    const [one, other] = [run(features.data), run(padded)];
    expect(other.losses).toEqual(one.losses);
    for (const [name, gradient] of one.gradients) {
      expectWithinShare(other.gradients.get(name) ?? [], gradient, 1e-14, name);
    }
  });
});
