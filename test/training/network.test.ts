import { describe, expect, it } from 'vitest';
import { expectClose, expectWithinShare } from '../support/close.ts';
import { TRAINING_CASES, tensorOf, trainingCase, weightsOf, type Expected, type Tensors } from '../support/training.ts';
import { network, type NetworkResult } from './twins/network.ts';

/** Golden files are float64 rounded to float32: half a unit in the last place of the largest, doubled. */
const STORED = 2 ** -23;
const LOSS = { absolute: 0, relative: 1e-10 };

function expectGradients(gradients: NetworkResult['gradients'], expected: Tensors): void {
  expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, gradient] of gradients) {
    expectWithinShare(gradient, tensorOf(expected, name).data, STORED, name);
  }
}

function expectGolden({ losses, loss, arrays, gradients }: NetworkResult, expected: Expected): void {
  expectClose(losses, expected.lossPerUtterance, LOSS, 'losses');
  expectClose([loss], [expected[expected.reduction]], LOSS, 'loss');
  for (const [name, values] of arrays) {
    expectWithinShare(values, tensorOf(expected.arrays, name).data, STORED, name);
  }
  expectGradients(gradients, expected.grads);
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
});
