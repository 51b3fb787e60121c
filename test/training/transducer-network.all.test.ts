/** A network that is trained with the transducer's loss, from features on. */
import { afterAll, expect, it } from 'vitest';
import { openModel, type Model } from '../../src/model/model.ts';
import { encoderFrames, expectedTensors, type ModelSizes } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import { longestFrames } from '../../src/training/activations.ts';
import { pack } from '../../src/training/layout.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { padded } from '../../src/webgpu/weights.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { byUtterance } from '../support/batch-rows.ts';
import { expectWithinShare } from '../support/close.ts';
import { randoms } from '../support/random.ts';
import { trainingCase } from '../support/training.ts';
import { decoderJoiner } from './twins/decoder-joiner.ts';
import { transducerLoss } from './twins/transducer.ts';

const LOSS_SHARE = 1e-5;
/** Float32 losses of some 100 nats, over steps that change them by some tenths. */
const DIFFERENCE_SHARE = 1e-2;
const BIAS = 'encoder.encoder.layers.1.feed_forward.4.bias';

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

/** A model with a transducer head of random weights. */
function withTransducer({ sizes: own, config, weights }: Model) {
  const transducer = { decoderDim: 6, contextSize: 2, joinerDim: 5 };
  const sizes: ModelSizes = { ...own, transducer };
  const head = new Map<string, Float32Array<ArrayBuffer>>();
  for (const [name, shape] of expectedTensors(sizes)) {
    if (!weights.tensors.has(name)) {
      head.set(name, randoms(elementCount(shape), head.size));
    }
  }
  const tensors = new Map([...expectedTensors(sizes)].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
  const read = async (name: string) => head.get(name) ?? weights.read(name);
  return { model: { sizes, config, weights: { tensors, read } }, head, transducer };
}

it('trains the transducer through the encoder, and only what is to be trained', async () => {
  const { files, features, lens, targets, config } = await trainingCase('small');
  const { model, head, transducer } = withTransducer(openModel(files));
  const capacity = { utterances: lens.length, frames: longestFrames(lens), labels: 5 };
  const network = await TrainingNetwork.create(context, model, capacity, {
    loss: 'transducer',
    trainable: ['joiner.', BIAS],
  });
  const batch = { features: features.data, lens, targets };
  const { losses } = await network.run(batch, { reduction: 'sum' });

  const rows = { utterances: lens.length, frames: capacity.frames, width: config.dModel };
  const bytes = 4 * rows.utterances * rows.frames * padded(rows.width);
  const read = await readBuffers(context, [{ buffer: network.activations.encoderOut, bytes }]);
  const encoderOut = byUtterance(read, rows);
  const expected = targets.map((target, n) => {
    const start = n * rows.frames * rows.width;
    const own = encoderOut.subarray(start, start + encoderFrames(lens[n]) * rows.width);
    const { dModel, vocabSize } = config;
    const { logits } = decoderJoiner(head, own, target, { ...transducer, dModel, vocabSize });
    return transducerLoss(logits, target, vocabSize, 'modified').loss;
  });
  expectWithinShare(losses, expected, LOSS_SHARE, 'losses');

  const gradients = await network.parameters.gradients();
  const joiner = [...head.keys()].filter((name) => name.startsWith('joiner.'));
  expect([...gradients.keys()].sort()).toEqual([...joiner, BIAS].sort());
  // Along its own gradient the loss changes by the gradient's square.
  const { value, layout } = network.parameters.of(BIAS);
  const gradient = gradients.get(BIAS) ?? new Float32Array(0);
  const bias = await model.weights.read(BIAS);
  const square = gradient.reduce((sum, g) => sum + g * g, 0);
  const along = async (step: number) => {
    const moved = bias.map((b, k) => b + step * gradient[k]);
    context.device.queue.writeBuffer(value, 0, pack(layout, moved));
    return (await network.run(batch, { reduction: 'sum' })).loss;
  };
  const step = 0.2 / square;
  const difference = (await along(step)) - (await along(-step));
  expect(Math.abs(difference / (2 * step * square) - 1)).toBeLessThan(DIFFERENCE_SHARE);
  network.dispose();
});
