import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTensors } from '../../src/checkpoint/open.ts';
import type { ModelSizes } from '../../src/model/sizes.ts';
import type { TensorSource } from '../../src/model/tensors.ts';
import { transducerLayouts } from '../../src/training/layout.ts';
import { reduced } from '../../src/training/losses/loss.ts';
import type { Reduction, Target } from '../../src/training/losses/targets.ts';
import { TransducerLoss } from '../../src/training/losses/transducer.ts';
import { OperationMaker, type Capacity } from '../../src/training/operations.ts';
import { Parameters } from '../../src/training/parameters.ts';
import { BufferScope } from '../../src/webgpu/device/context.ts';
import { readBuffers } from '../../src/webgpu/device/readback.ts';
import { padded } from '../../src/webgpu/weights.ts';
import { createNodeContext } from '../../tools/runtime/node-gpu.ts';
import { byFrame, byUtterance } from '../support/batch-rows.ts';
import { expectWithinShare } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { readFixture } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';
import { trainingArray, trainingJson, trainingTensors, type Tensor } from '../support/training.ts';

const KINDS = ['regular', 'modified'] as const;
const LOSS_SHARE = 1e-5;
/** PyTorch's own float32 is off by up to 1.1e-5 of a tensor's largest gradient; by this much a kernel may be. */
const GRADIENT_SHARE = 1e-4;

interface Golden extends Record<(typeof KINDS)[number], { per_utterance: number[]; sum: number }> {
  encoder_out_lens: number[];
  targets: number[][];
  decoder_dim: number;
  joiner_dim: number;
  vocab_size: number;
  context_size: number;
}

const context = await createNodeContext();
afterAll(() => {
  context.dispose();
});

let golden: Golden;
let encoderOut: Tensor;
let weights: TensorSource;

beforeAll(async () => {
  golden = await trainingJson<Golden>('rnnt/loss.json');
  encoderOut = await trainingArray('rnnt/encoder_out');
  weights = await openTensors(bytesSource(await readFixture('training/rnnt/model.pt'), 'model.pt'));
});

/** Of the head; the encoder's are not asked for, but for d. */
function sizesOf(): ModelSizes {
  const encoder = { numFeatures: 80, channels: [8, 32, 128], rnnHiddenSize: 1, dimFeedforward: 1 } as const;
  return {
    encoder: { ...encoder, dModel: encoderOut.shape[2], hasProjection: true, numEncoderLayers: 1 },
    vocabSize: golden.vocab_size,
    transducer: {
      decoderDim: golden.decoder_dim,
      joinerDim: golden.joiner_dim,
      contextSize: golden.context_size,
    },
    hasCtc: false,
  };
}

/** Feature frames that give so many encoder frames. */
const featureFrames = (frames: number) => 4 * frames + 5;

interface Batch {
  /** Encoder frames of each utterance, and its target. */
  lens: readonly number[];
  targets: readonly Target[];
  /** (utterances, frames, d) */
  encoderOut: Float32Array;
}

const goldenBatch = (): Batch => ({
  lens: golden.encoder_out_lens,
  targets: golden.targets,
  encoderOut: encoderOut.data,
});

/** Losses and gradients of a batch. */
async function runLoss(
  type: (typeof KINDS)[number],
  batch: Batch,
  { reduction = 'sum', capacity }: { reduction?: Reduction; capacity?: Capacity } = {},
) {
  const options = { reduction };
  const sizes = sizesOf();
  const scope = new BufferScope(context);
  const utterances = batch.lens.length;
  const { dModel } = sizes.encoder;
  const rows = { utterances, frames: Math.max(...batch.lens), width: dModel };
  const bytes = 4 * utterances * rows.frames * padded(dModel);
  const given = scope.createStorage('activations', 'encoder_out', bytes);
  const gradient = scope.createStorage('activations', 'gradient of encoder_out', bytes);
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const step = scope.createBuffer('activations', 'step', 16, usage);
  const { queue } = context.device;
  const own = Float64Array.from(
    { length: utterances * rows.frames * dModel },
    (_, i) =>
      batch.encoderOut[
        Math.floor(i / dModel / rows.frames) * (batch.encoderOut.length / utterances) + (i % (dModel * rows.frames))
      ],
  );
  queue.writeBuffer(given, 0, Float32Array.from(byFrame(own, rows)));
  queue.writeBuffer(gradient, 0, new Float32Array(bytes / 4).fill(NaN));
  queue.writeBuffer(step, 0, Uint32Array.of(utterances, rows.frames));
  const parameters = await Parameters.load(context, weights, transducerLayouts(sizes));
  const loss = await TransducerLoss.create(
    {
      ...{ context, maker: new OperationMaker(scope), sizes, parameters, step, dropout: 0 },
      ...{ capacity: capacity ?? { ...rows, labels: 9 }, encoderOut: given, dEncoderOut: gradient },
    },
    type,
  );
  try {
    const uploaded = loss.upload({ lens: batch.lens.map(featureFrames), targets: batch.targets }, options);
    const encoder = context.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    loss.run(pass, rows);
    pass.end();
    queue.submit([encoder.finish()]);
    const losses = await readBuffers(context, [{ buffer: loss.losses, bytes: 4 * utterances }]);
    const dEncoderOut = await readBuffers(context, [{ buffer: gradient, bytes }]);
    return {
      ...reduced(losses, uploaded, options),
      dEncoderOut: byUtterance(dEncoderOut, rows),
      gradients: await parameters.gradients(),
    };
  } finally {
    loss.dispose();
    parameters.dispose();
    scope.dispose();
  }
}

describe.each(KINDS)('the transducer: %s', (kind) => {
  it('has the losses and the gradients of PyTorch', async () => {
    const { losses, loss, dEncoderOut, gradients } = await runLoss(kind, goldenBatch());
    expectWithinShare(losses, golden[kind].per_utterance, LOSS_SHARE, 'losses');
    expectWithinShare([loss], [golden[kind].sum], LOSS_SHARE, 'sum');
    const expected = await trainingArray(`rnnt/${kind}_d_encoder_out`);
    expectWithinShare(dEncoderOut, expected.data, GRADIENT_SHARE, 'd_encoder_out');
    const grads = await trainingTensors(`rnnt/${kind}_grads.pt`);
    expect([...gradients.keys()].sort()).toEqual([...grads.keys()].sort());
    for (const [name, { data }] of grads) {
      expectWithinShare(gradients.get(name) ?? [], data, GRADIENT_SHARE, name);
    }
  });
});

/** A batch with longer utterances and targets beside its own, and noise behind its ends. */
function withLonger({ lens, targets, encoderOut: own }: Batch): Batch {
  const d = sizesOf().encoder.dModel;
  const [frames, more] = [own.length / lens.length / d, 4];
  const noise = randoms((lens.length + 1) * (frames + more) * d, 7, 2);
  lens.forEach((length, n) => {
    noise.set(own.subarray(n * frames * d, (n * frames + length) * d), n * (frames + more) * d);
  });
  return { lens: [...lens, frames + more], targets: [...targets, [1, 2, 3, 4, 5, 6]], encoderOut: noise };
}

it('a loss depends neither on what pads nor on who is beside it', async () => {
  const alone = await runLoss('modified', goldenBatch());
  const among = await runLoss('modified', withLonger(goldenBatch()));
  expect(among.losses.slice(0, -1)).toEqual(alone.losses);
  const d = sizesOf().encoder.dModel;
  const frames = among.dEncoderOut.length / among.losses.length;
  golden.encoder_out_lens.forEach((length, n) => {
    const own = alone.dEncoderOut.length / alone.losses.length;
    const expected = alone.dEncoderOut.slice(n * own, n * own + length * d);
    const got = among.dEncoderOut.slice(n * frames, (n + 1) * frames);
    expectWithinShare(got.slice(0, length * d), expected, GRADIENT_SHARE, `utterance ${n}`);
    expect(got.slice(length * d)).toEqual(new Float64Array(frames - length * d));
  });
});

it('has no finite loss for what is not a number, and leaves others theirs', async () => {
  const batch = goldenBatch();
  const broken = batch.encoderOut.slice();
  broken[sizesOf().encoder.dModel] = NaN;
  const { losses } = await runLoss('modified', { ...batch, encoderOut: broken });
  expect(Number.isFinite(losses[0])).toBe(false);
  expectWithinShare(losses.slice(1), golden.modified.per_utterance.slice(1), LOSS_SHARE, 'losses');
});

it('weighs utterances; one with more symbols than frames counts nothing where each takes a frame', async () => {
  const batch = goldenBatch();
  const [, ...others] = batch.targets;
  const unfit = { ...batch, targets: [[3, 8, 3, 3, 8, 3, 3, 8], ...others] };
  const { losses, loss, dEncoderOut } = await runLoss('modified', unfit, { reduction: 'mean' });
  const [, second, third] = golden.modified.per_utterance;
  expectWithinShare(losses, [0, second, third], LOSS_SHARE, 'losses');
  expectWithinShare([loss], [(second / 2 + third) / 3], LOSS_SHARE, 'mean');
  const { data } = await trainingArray('rnnt/modified_d_encoder_out');
  const own = data.length / 3;
  const shares = [0, 1 / 6, 1 / 3];
  const expected = data.map((value, i) => shares[Math.floor(i / own)] * value);
  expectWithinShare(dEncoderOut, expected, GRADIENT_SHARE, 'd_encoder_out');
});

it('says what it cannot train', async () => {
  const batch = goldenBatch();
  const long = { ...batch, targets: [[1, 2, 3, 4, 5, 6, 7, 8, 1, 2], [1], [1]] };
  expect(await failure('bad-argument', () => runLoss('modified', long))).toContain('a target of 10 tokens');
  const spike = { ...batch, targets: [{ token: 1, window: [0, 1] as const }, [1], [1]] };
  expect(await failure('bad-argument', () => runLoss('modified', spike))).toContain('a token in a window');
  const large = { utterances: 3, frames: 7, labels: 20000 };
  expect(await failure('bad-argument', () => runLoss('modified', batch, { capacity: large }))).toContain('420021 rows');
});
