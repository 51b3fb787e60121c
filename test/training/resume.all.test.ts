/** Trainings of PyTorch that are gone on with: the next step is PyTorch's own. */
import { afterAll, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTrainingCheckpoint } from '../../src/checkpoint/training-checkpoint.ts';
import { openModel } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { readFixture } from '../support/fixtures.ts';
import { expectSteppedWeights, tensorOf, trainingTensors, weightsOf } from '../support/training.ts';
import { effectiveWeights, scaleName } from './twins/scaled.ts';
import { weightOf } from './twins/weights.ts';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

const TARGETS = [[1, 3], [2]];

it.each([
  ['article', 5],
  ['icefall', Infinity],
])("goes on from a checkpoint by PyTorch's step: %s", async (name, maxGradNorm) => {
  const file = bytesSource(await readFixture(`training/checkpoints/${name}.pt`), `${name}.pt`);
  const checkpoint = await openTrainingCheckpoint(file, { config: '{"num_features": 10}' });
  const { files, scales } = checkpoint;
  const saved = checkpoint.optimizer ?? expect.fail('no optimizer');
  const { optimizer, betas, eps, weightDecay, learningRate = 0 } = saved;
  const next = await trainingTensors(`checkpoints/${name}-next.pt`);
  const lens = [...tensorOf(next, 'lens').data];
  const capacity = { utterances: 2, frames: longestFrames(lens), labels: 2 };
  const network = await TrainingNetwork.create(context, openModel(files), capacity);
  const optimizing = await Optimizer.create(context, network.parameters, {
    ...{ optimizer, betas, eps, weightDecay, maxGradNorm, scales },
    ...(scales.size > 0 && { average: { period: 100 } }),
  });
  await optimizing.load(saved);
  const then = (encoder: GPUCommandEncoder) => {
    optimizing.step(encoder, learningRate);
  };
  const batch = { features: tensorOf(next, 'features').data, lens, targets: TARGETS };
  network.submit(batch, { reduction: 'sum' }, { isFirst: true, then });
  const { loss } = await network.losses();
  expect(loss / tensorOf(next, 'loss').data[0]).toBeCloseTo(1, 4);
  expect(await optimizing.readState()).toMatchObject({ taken: 3, isSkipped: false });

  const stepped = weightsOf(next);
  const weights = effectiveWeights(stepped);
  const values = await network.parameters.values();
  const expected = new Map(Array.from(values.keys(), (tensor) => [tensor, weightOf(weights, tensor)] as const));
  const { tensors } = await optimizing.save();
  for (const tensor of scales.keys()) {
    expected.set(scaleName(tensor), weightOf(stepped, scaleName(tensor)));
    values.set(scaleName(tensor), await tensors.read(`scale.${tensor}`));
  }
  expectSteppedWeights(values, expected);
  optimizing.dispose();
  network.dispose();
});
