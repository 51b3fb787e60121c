import { beforeAll, describe, expect, it } from 'vitest';
import { expectClose, expectWithinShare } from '../support/close.ts';
import { expectGradients, randoms64 } from '../support/gradients.ts';
import { tensorOf, trainingArray, trainingJson, trainingTensors, weightsOf, type Tensor } from '../support/training.ts';
import { decoderJoiner, decoderJoinerBackward, type JoinerSizes } from './twins/decoder-joiner.ts';
import { transducerLoss, type TransducerKind } from './twins/transducer.ts';
import type { Gradients } from './twins/weights.ts';

/** The golden arrays are float32. */
const STORED = 2 ** -23;
const KINDS = ['regular', 'modified'] as const satisfies TransducerKind[];

interface Golden extends Record<TransducerKind, { per_utterance: number[] }> {
  encoder_out_lens: number[];
  targets: number[][];
  decoder_dim: number;
  joiner_dim: number;
  vocab_size: number;
  context_size: number;
}

let golden: Golden;
let encoderOut: Tensor;
let weights: Map<string, Float64Array>;

beforeAll(async () => {
  golden = await trainingJson<Golden>('rnnt/loss.json');
  encoderOut = await trainingArray('rnnt/encoder_out');
  weights = weightsOf(await trainingTensors('rnnt/model.pt'));
});

function sizesOf(): JoinerSizes {
  return {
    dModel: encoderOut.shape[2],
    decoderDim: golden.decoder_dim,
    joinerDim: golden.joiner_dim,
    vocabSize: golden.vocab_size,
    contextSize: golden.context_size,
  };
}

/** Losses, and the gradients of their sum; arrays padded as the golden ones are. */
function sumOverBatch(kind: TransducerKind) {
  const sizes = sizesOf();
  const [batch, frames, d] = encoderOut.shape;
  const width = Math.max(...golden.targets.map((target) => target.length)) + 1;
  const arrays = {
    logits: new Float64Array(batch * frames * width * sizes.vocabSize),
    dLogits: new Float64Array(batch * frames * width * sizes.vocabSize),
    dEncoderOut: new Float64Array(batch * frames * d),
  };
  const gradients: Gradients = new Map();
  const losses = golden.targets.map((target, n) => {
    const own = encoderOut.data.subarray(n * frames * d, (n * frames + golden.encoder_out_lens[n]) * d);
    const saved = decoderJoiner(weights, own, target, sizes);
    const { loss, dLogits } = transducerLoss(saved.logits, target, sizes.vocabSize, kind);
    const back = decoderJoinerBackward(weights, own, dLogits, saved, sizes);
    back.gradients.forEach((gradient, name) => {
      const sum = gradients.get(name);
      gradients.set(name, sum ? sum.map((value, k) => value + gradient[k]) : gradient);
    });
    arrays.dEncoderOut.set(back.dEncoderOut, n * frames * d);
    const row = (target.length + 1) * sizes.vocabSize;
    for (let t = 0; t < golden.encoder_out_lens[n]; t++) {
      const place = (n * frames + t) * width * sizes.vocabSize;
      arrays.logits.set(saved.logits.subarray(t * row, (t + 1) * row), place);
      arrays.dLogits.set(dLogits.subarray(t * row, (t + 1) * row), place);
    }
    return loss;
  });
  return { losses, gradients, ...arrays };
}

describe('transducerLoss, decoder and joiner', () => {
  it.each(KINDS)("equals PyTorch's float64: %s", async (kind) => {
    const { losses, gradients, dLogits, dEncoderOut } = sumOverBatch(kind);
    expectClose(losses, golden[kind].per_utterance, { absolute: 0, relative: 1e-12 }, 'losses');
    expectWithinShare(dLogits, (await trainingArray(`rnnt/${kind}_d_logits`)).data, STORED, 'd_logits');
    expectWithinShare(dEncoderOut, (await trainingArray(`rnnt/${kind}_d_encoder_out`)).data, STORED, 'd_encoder_out');
    const expected = await trainingTensors(`rnnt/${kind}_grads.pt`);
    expect([...gradients.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const [name, gradient] of gradients) {
      expectWithinShare(gradient, tensorOf(expected, name).data, STORED, name);
    }
  });

  it.each(KINDS)('has the gradients of finite differences: %s', (kind) => {
    const sizes = { dModel: 3, decoderDim: 4, joinerDim: 3, vocabSize: 4, contextSize: 2 };
    const target = [2, 2, 1];
    const inputs = {
      encoderOut: randoms64(4 * 3, 1),
      'decoder.embedding.weight': randoms64(16, 2),
      'decoder.conv.weight': randoms64(8, 3),
      'joiner.encoder_proj.weight': randoms64(9, 4),
      'joiner.encoder_proj.bias': randoms64(3, 5),
      'joiner.decoder_proj.weight': randoms64(12, 6),
      'joiner.decoder_proj.bias': randoms64(3, 7),
      'joiner.output_linear.weight': randoms64(12, 8),
      'joiner.output_linear.bias': randoms64(4, 9),
    };
    const forward = (given: typeof inputs) => {
      const saved = decoderJoiner(new Map(Object.entries(given)), given.encoderOut, target, sizes);
      return { saved, ...transducerLoss(saved.logits, target, sizes.vocabSize, kind) };
    };
    const { saved, dLogits } = forward(inputs);
    const back = decoderJoinerBackward(new Map(Object.entries(inputs)), inputs.encoderOut, dLogits, saved, sizes);
    const gradients = { ...Object.fromEntries(back.gradients), encoderOut: back.dEncoderOut } as typeof inputs;
    expectGradients(inputs, (given) => forward(given as typeof inputs).loss, gradients);
  });

  it('cannot say more symbols than there are frames, if each takes one', () => {
    const logits = randoms64(2 * 4 * 3, 1);
    expect(transducerLoss(logits, [1, 1, 2], 3, 'modified').loss).toBe(Infinity);
    expect(transducerLoss(logits, [1, 1, 2], 3, 'regular').loss).toBeLessThan(Infinity);
  });
});
