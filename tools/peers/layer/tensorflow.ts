/** One layer trained by TensorFlow.js on WebGPU, its LSTM unrolled. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import '@tensorflow/tfjs-backend-webgpu';
import { ADAM, layerTensors, type OpenLayer } from '../../training-speed/layer-problem.ts';

export const tensorFlowLayer: OpenLayer = async (problem) => {
  await tf.setBackend('webgpu');
  const { model, utterances, frames, x, wanted } = problem;
  const { dModel: d, rnnHiddenSize: hidden } = model.sizes.encoder;
  const rows = utterances * frames;
  const tensors = await layerTensors(problem);
  const of = (name: string) => {
    const { values = new Float32Array(0), shape = [] } = tensors.get(name) ?? {};
    return tf.tensor(values, shape);
  };
  const variable = (value: tf.Tensor) => tf.variable(value, true);
  const matrix = (name: string) => variable(tf.transpose(of(name)));
  const [wIh, wHh, wHr] = ['ih', 'hh', 'hr'].map((which) => matrix(`lstm.weight_${which}_l0`));
  const bias = variable(tf.add(of('lstm.bias_ih_l0'), of('lstm.bias_hh_l0')));
  const [w1, w2] = [0, 4].map((place) => matrix(`feed_forward.${place}.weight`));
  const [b1, b2] = [0, 4].map((place) => variable(of(`feed_forward.${place}.bias`)));
  const eps = tf.exp(of('norm_final.eps'));
  const input = tf.tensor(x, [rows, d]);
  const goal = tf.tensor(wanted, [rows, d]);
  const adam = tf.train.adam(ADAM.learningRate, ...ADAM.betas, ADAM.eps);
  const loss = () =>
    tf.tidy(() => {
      const gatesX = tf.unstack(tf.reshape(tf.add(tf.matMul(input, wIh), bias), [frames, utterances, 4 * hidden]));
      let h = tf.zeros([utterances, d]);
      let c = tf.zeros([utterances, hidden]);
      const outputs = gatesX.map((own) => {
        const [i, f, g, o] = tf.split(tf.add(own, tf.matMul(h, wHh)), 4, 1);
        c = tf.add(tf.mul(tf.sigmoid(f), c), tf.mul(tf.sigmoid(i), tf.tanh(g)));
        h = tf.matMul(tf.mul(tf.sigmoid(o), tf.tanh(c)), wHr);
        return h;
      });
      const x1 = tf.add(input, tf.reshape(tf.stack(outputs), [rows, d]));
      const a = tf.add(tf.matMul(x1, w1), b1);
      const x2 = tf.add(x1, tf.add(tf.matMul(tf.mul(a, tf.sigmoid(tf.sub(a, 1))), w2), b2));
      const out = tf.mul(x2, tf.rsqrt(tf.add(tf.mean(tf.square(x2), -1, true), eps)));
      return tf.mean(tf.square(tf.sub(out, goal)));
    });
  const { device } = tf.backend();
  const told = async (value: tf.Tensor) => {
    const [number] = await value.data();
    value.dispose();
    await device.queue.onSubmittedWorkDone();
    return number;
  };
  return {
    forward: () => told(loss()),
    step: () => told(adam.minimize(loss, true)),
    device,
    dispose: () => tf.disposeVariables(),
  };
};
