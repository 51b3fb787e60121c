/** The encoder in TensorFlow.js: its own LSTM cell (basicLSTMCell), a product for the projection, fused products elsewhere. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import type { Model } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs } from '../../src/model/sizes.ts';
import type { Contender, Create } from './contenders.ts';

interface Linear {
  /** (inputs, outputs) */
  weight: tf.Tensor;
  bias: tf.Tensor;
}

interface Layer {
  /** Gates of [x, h], (2 d, 4 hidden), in the cell's order i, g, f, o. */
  gates: Linear;
  /** (hidden, d) */
  projection?: tf.Tensor;
  forward: [Linear, Linear];
  eps: number;
}

const GATE_ORDER = [0, 2, 1, 3];

const doubleSwish = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(tf.sub(x, 1)));
const basicNorm = (x: tf.Tensor, eps: number) => tf.mul(x, tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), eps)));
const linear = (x: tf.Tensor, { weight, bias }: Linear) => tf.fused.matMul({ a: x, b: weight, bias });

async function loadWeights({ sizes, weights }: Model) {
  const { numFeatures, channels, dModel: d, rnnHiddenSize: hidden, hasProjection, numEncoderLayers } = sizes.encoder;
  const read = async (name: string) => {
    const full = `encoder.${name}`;
    return tf.tensor(await weights.read(full), weights.tensors.get(full)?.shape ?? []);
  };
  const eps = async (name: string) => Math.exp((await weights.read(`encoder.${name}`))[0]);
  const readLinear = async (name: string): Promise<Linear> => ({
    weight: tf.transpose(await read(`${name}.weight`)),
    bias: await read(`${name}.bias`),
  });
  const readConvolution = async (position: number, strides: number) => ({
    filter: tf.transpose(await read(`encoder_embed.conv.${position}.weight`), [2, 3, 1, 0]),
    bias: await read(`encoder_embed.conv.${position}.bias`),
    strides,
  });
  const readOut = async (): Promise<Linear> => {
    // PyTorch flattens channel by channel; here channels come last.
    const freqs = subsampledFreqs(numFeatures)[2];
    const weight = tf.reshape(await read('encoder_embed.out.weight'), [d, channels[2], freqs]);
    return {
      weight: tf.reshape(tf.transpose(weight, [2, 1, 0]), [freqs * channels[2], d]),
      bias: await read('encoder_embed.out.bias'),
    };
  };
  const readLayer = async (layer: string): Promise<Layer> => {
    const ih = await read(`${layer}.lstm.weight_ih_l0`);
    const hh = await read(`${layer}.lstm.weight_hh_l0`);
    const bias = tf.add(await read(`${layer}.lstm.bias_ih_l0`), await read(`${layer}.lstm.bias_hh_l0`));
    const reordered = (x: tf.Tensor, width: number) => tf.gather(tf.reshape(x, [4, hidden, width]), GATE_ORDER);
    return {
      gates: {
        weight: tf.transpose(tf.reshape(reordered(tf.concat([ih, hh], 1), 2 * d), [4 * hidden, 2 * d])),
        bias: tf.reshape(reordered(bias, 1), [4 * hidden]),
      },
      projection: hasProjection ? tf.transpose(await read(`${layer}.lstm.weight_hr_l0`)) : undefined,
      forward: [await readLinear(`${layer}.feed_forward.0`), await readLinear(`${layer}.feed_forward.4`)],
      eps: await eps(`${layer}.norm_final.eps`),
    };
  };
  return {
    convolutions: [await readConvolution(0, 1), await readConvolution(3, 2), await readConvolution(6, 2)],
    out: await readOut(),
    eps: await eps('encoder_embed.out_norm.eps'),
    layers: await Promise.all(Array.from({ length: numEncoderLayers }, (_, l) => readLayer(`encoder.layers.${l}`))),
    forgetBias: tf.scalar(0),
  };
}

async function load(model: Model, frames: number): Promise<Contender> {
  await tf.setBackend('webgpu');
  const { numFeatures, dModel, rnnHiddenSize } = model.sizes.encoder;
  const weights = await loadWeights(model);
  const { convolutions, out, eps, layers, forgetBias } = weights;
  let states = layers.map(() => ({ h: tf.zeros([1, dModel]), c: tf.zeros([1, rnnHiddenSize]) }));

  const forward = (features: Float32Array) => {
    let image = tf.tensor(features, [1, SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES, numFeatures, 1]);
    for (const convolution of convolutions) {
      image = doubleSwish(tf.fused.conv2d({ x: image, pad: 'valid', ...convolution }));
    }
    let x = basicNorm(linear(tf.reshape(image, [frames, -1]), out), eps);
    const next = layers.map((layer, l) => {
      let { h, c } = states[l];
      const outputs = tf.split(x, frames).map((frame) => {
        const { weight, bias } = layer.gates;
        [c, h] = tf.basicLSTMCell(forgetBias, weight, bias, frame, c, h);
        h = layer.projection ? tf.matMul(h, layer.projection) : h;
        return h;
      });
      x = tf.add(x, tf.concat(outputs));
      x = tf.add(x, linear(doubleSwish(linear(x, layer.forward[0])), layer.forward[1]));
      x = basicNorm(x, layer.eps);
      return { h, c };
    });
    return { x, next };
  };

  return {
    device: tf.backend().device,
    async step(features) {
      const { x, next } = tf.tidy(() => forward(features));
      tf.dispose(states);
      states = next;
      const values = await x.data();
      x.dispose();
      return values;
    },
    dispose: async () => tf.dispose([weights, states]),
  };
}

/** One stream only. */
export const tensorFlow: Create =
  async (model, { frames }) =>
  () =>
    load(model, frames);
