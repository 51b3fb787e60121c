/** One layer trained by jax-js on WebGPU, the whole step in one `jit`, its LSTM unrolled: there is no scan. */
import {
  blockUntilReady,
  defaultDevice,
  getWebGPUDevice,
  init,
  jit,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
  type Array as JaxArray,
} from '@jax-js/jax';
import { ADAM, layerTensors, type OpenLayer } from '../../training-speed/layer-problem.ts';

type Parameters = Record<'wIh' | 'wHh' | 'wHr' | 'bias' | 'w1' | 'b1' | 'w2' | 'b2', JaxArray>;

/** A kernel over more inputs than these needs more storage buffers than WebGPU's default limit; jax-js waits forever then. */
const MOST_INPUTS = 6;

/** Arrays along a new first axis. */
function stacked(arrays: readonly JaxArray[]): JaxArray {
  const [first, ...others] = arrays.map((array) => np.expandDims(array, 0));
  let all = first;
  for (let i = 0; i < others.length; i += MOST_INPUTS) {
    all = np.concatenate([all, ...others.slice(i, i + MOST_INPUTS)], 0);
  }
  return all;
}

export const jaxLayer: OpenLayer = async (problem) => {
  await init('webgpu');
  defaultDevice('webgpu');
  const { model, utterances, frames, x, wanted } = problem;
  const { dModel: d, rnnHiddenSize: hidden } = model.sizes.encoder;
  const tensors = await layerTensors(problem);
  const of = (name: string) => {
    const { values = new Float32Array(0), shape = [] } = tensors.get(name) ?? {};
    return np.array(values).reshape([...shape]);
  };
  const matrix = (name: string) => np.array(of(name).transpose());
  let parameters: Parameters = {
    wIh: matrix('lstm.weight_ih_l0'),
    wHh: matrix('lstm.weight_hh_l0'),
    wHr: matrix('lstm.weight_hr_l0'),
    bias: of('lstm.bias_ih_l0').add(of('lstm.bias_hh_l0')),
    w1: matrix('feed_forward.0.weight'),
    b1: of('feed_forward.0.bias'),
    w2: matrix('feed_forward.4.weight'),
    b2: of('feed_forward.4.bias'),
  };
  await blockUntilReady(parameters);
  const eps = Math.exp(tensors.get('norm_final.eps')?.values[0] ?? NaN);
  const input = np.array(x).reshape([frames, utterances, d]);
  const goal = np.array(wanted).reshape([frames, utterances, d]);

  // A value is used up by what reads it, unless it is referred to once more (`ref`).
  const loss = (p: Parameters, x: JaxArray, goal: JaxArray): JaxArray => {
    const gatesX = np.unstack(np.matmul(x.ref, p.wIh.ref).add(p.bias.ref));
    let h = np.zeros([utterances, d]);
    let c = np.zeros([utterances, hidden]);
    const outputs: JaxArray[] = [];
    for (const own of gatesX) {
      const [i, f, g, o] = np.split(own.add(np.matmul(h, p.wHh.ref)), 4, 1);
      c = nn
        .sigmoid(f)
        .mul(c)
        .add(nn.sigmoid(i).mul(np.tanh(g)));
      h = np.matmul(nn.sigmoid(o).mul(np.tanh(c.ref)), p.wHr.ref);
      outputs.push(h.ref);
    }
    h.dispose();
    c.dispose();
    const x1 = x.add(stacked(outputs));
    const a = np.matmul(x1.ref, p.w1.ref).add(p.b1.ref);
    const x2 = x1.add(np.matmul(a.ref.mul(nn.sigmoid(a.sub(1))), p.w2.ref).add(p.b2.ref));
    const out = x2.ref.mul(np.power(np.mean(np.square(x2), -1, { keepdims: true }).add(eps), -0.5));
    tree.dispose(p);
    return np.mean(np.square(out.sub(goal)));
  };
  const [beta1, beta2] = ADAM.betas;
  const adam = (p: Parameters, g: Parameters, m: Parameters, v: Parameters, t: JaxArray) => {
    const first = tree.map((m: JaxArray, g: JaxArray) => m.mul(beta1).add(g.mul(1 - beta1)), m, tree.ref(g));
    const second = tree.map((v: JaxArray, g: JaxArray) => v.mul(beta2).add(np.square(g).mul(1 - beta2)), v, g);
    const correction1 = np.subtract(1, np.exp(t.ref.mul(Math.log(beta1))));
    const correction2 = np.subtract(1, np.exp(t.mul(Math.log(beta2))));
    const updated = tree.map(
      (p: JaxArray, m: JaxArray, v: JaxArray) =>
        p.sub(
          m
            .div(correction1.ref)
            .div(np.sqrt(v.div(correction2.ref)).add(ADAM.eps))
            .mul(ADAM.learningRate),
        ),
      p,
      tree.ref(first),
      tree.ref(second),
    );
    correction1.dispose();
    correction2.dispose();
    return [updated, first, second] as [Parameters, Parameters, Parameters];
  };
  const jitted = jit(loss);
  const whole = jit((p: Parameters, m: Parameters, v: Parameters, t: JaxArray, x: JaxArray, goal: JaxArray) => {
    const [own, gradients] = valueAndGrad(loss)(tree.ref(p), x, goal);
    return [own, ...adam(p, gradients, m, v, t)] as [JaxArray, Parameters, Parameters, Parameters];
  });
  const zeros = () => tree.map<Parameters>((each) => np.zeros(each.shape), tree.ref(parameters));
  let [first, second] = [zeros(), zeros()];
  let taken = 0;
  const device = getWebGPUDevice();
  const told = async (value: JaxArray) => {
    const [number] = await value.data();
    await device.queue.onSubmittedWorkDone();
    return number;
  };
  return {
    forward: () => told(jitted(tree.ref(parameters), input.ref, goal.ref)),
    async step() {
      taken++;
      const t = np.array([taken]).reshape([]);
      const next = whole(parameters, first, second, t, input.ref, goal.ref);
      [, parameters, first, second] = next;
      const number = await told(next[0]);
      await blockUntilReady(tree.leaves(parameters));
      return number;
    },
    device,
    dispose: () => tree.dispose([parameters, first, second]),
  };
};
