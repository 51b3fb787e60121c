import { describe, expect, it } from 'vitest';
import { openModel } from '../../../src/model/model.ts';
import { longestFrames } from '../../../src/training/activations.ts';
import { CpuNetwork } from '../../../src/training/cpu/network.ts';
import { inOrder } from '../../../src/training/cpu/parameters.ts';
import { loadKernels } from '../../../src/wasm/kernels.ts';
import { Heap } from '../../../src/wasm/memory.ts';
import { expectSameBytes, expectWithinShare } from '../../support/close.ts';
import { alsoInAll } from '../../support/scope.ts';
import {
  LOSS_SHARE,
  expectNetworkGradients,
  tensorOf,
  trainingCase,
  weightsOf,
  type TrainingCase,
  type TrainingCaseName,
} from '../../support/training.ts';

/** A whole encoder behind its embedding. */
async function networkOf({ files, lens }: TrainingCase) {
  const heap = new Heap();
  const capacity = { utterances: lens.length, frames: longestFrames(lens) };
  return CpuNetwork.create(await loadKernels(heap.memory), heap, openModel(files), 0, capacity);
}

const batchOf = ({ eval: { arrays }, lens, targets }: TrainingCase) => ({
  ...{ hidden: Float32Array.from(tensorOf(arrays, 'embed').data), lens, targets },
});

const gradientsOf = ({ parameters }: CpuNetwork) =>
  new Map(parameters.all.map((each) => [each.name, parameters.gradients(each).slice()]));

/** Of those that the network has, in C order. */
function inOrderOf({ parameters }: CpuNetwork, of: 'values' | 'gradients', { model }: TrainingCase) {
  return new Map(
    parameters.all.map((each) => [each.name, inOrder(each, parameters[of](each), tensorOf(model, each.name).shape)]),
  );
}

const ofEncoder = (tensors: ReadonlyMap<string, Float64Array>) =>
  new Map([...tensors].filter(([name]) => !name.startsWith('encoder.encoder_embed')));

describe.each(alsoInAll<TrainingCaseName>(['noproj'], ['small', 'deep']))(
  'the last layers on the CPU, of %s',
  (name) => {
    it('have the losses and the gradients of PyTorch', async () => {
      const each = await trainingCase(name);
      const network = await networkOf(each);
      const { losses, loss } = network.run(batchOf(each), { reduction: each.eval.reduction });
      expectWithinShare(losses, each.eval.lossPerUtterance, LOSS_SHARE, 'losses');
      expect(Math.abs(loss / each.eval[each.eval.reduction] - 1)).toBeLessThan(LOSS_SHARE);
      expectNetworkGradients(inOrderOf(network, 'gradients', each), ofEncoder(weightsOf(each.eval.grads)));
    });

    it('add the gradients of batches up, and do not know what batches were before', async () => {
      const each = await trainingCase(name);
      const network = await networkOf(each);
      const { hidden, lens, targets } = batchOf(each);
      network.run({ hidden, lens, targets }, { reduction: 'sum' });
      const once = gradientsOf(network);
      network.clearGradients();
      // Each utterance alone, without what pads it.
      const stride = hidden.length / lens.length;
      lens.forEach((length, n) => {
        const own = hidden.subarray(n * stride, n * stride + longestFrames([length]) * each.config.dModel);
        network.run({ hidden: own, lens: [length], targets: [targets[n]] }, { reduction: 'sum' });
      });
      expectNetworkGradients(gradientsOf(network), once);
      network.clearGradients();
      network.run({ hidden, lens, targets }, { reduction: 'sum' });
      for (const [parameter, gradient] of gradientsOf(network)) {
        expectSameBytes(gradient, once.get(parameter) ?? new Float32Array(0), parameter);
      }
    });
  },
);
