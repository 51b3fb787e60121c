import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { readOptimizerState, type StoredParameter } from '../../src/checkpoint/optimizer-state.ts';
import { Opaque, type PickleValue } from '../../src/checkpoint/pickle.ts';
import { StorageRef, TensorRef, findConstructor, storageOf } from '../../src/checkpoint/torch.ts';
import { openTrainingCheckpoint } from '../../src/checkpoint/training-checkpoint.ts';
import { openModel } from '../../src/model/model.ts';
import { expectWithinShare } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { readFixture } from '../support/fixtures.ts';
import { tensorOf, trainingTensors } from '../support/training.ts';

const fixture = async (name: string) => bytesSource(await readFixture(`training/checkpoints/${name}`), name);
const config = '{"num_features": 10}';
const LSTM = 'encoder.encoder.layers.0.lstm.weight_hr_l0';
const ROUNDED = 2 ** -23;

/** Moments and averages before the third step, by Rill's names. */
const expectedOf = async (file: string) =>
  [...(await trainingTensors(`checkpoints/${file}`))].filter(([name]) => /^(exp|model)_avg/.test(name));

describe("the article's checkpoint", () => {
  it('tells moments by name, steps, options, schedule and epoch', async () => {
    const checkpoint = await openTrainingCheckpoint(await fixture('article.pt'), { config });
    expect(openModel(checkpoint.files).sizes.encoder).toMatchObject({ dModel: 6, rnnHiddenSize: 8 });
    expect(checkpoint).toMatchObject({
      ...{ epoch: 4, batch: undefined, bestValidLoss: 0.75, gradScaler: undefined },
      scheduler: { type: 'reduce_lr_on_plateau', best: 0.75, bad: 1, cooldown: 0, factor: 0.5, patience: 3 },
      optimizer: { taken: 2, learningRate: 1e-3, betas: [0.9, 0.98], eps: 1e-9, weightDecay: 0 },
    });
    expect(checkpoint.optimizer?.optimizer).toBeUndefined();
    expect(checkpoint.scales.size).toBe(0);
    const { tensors } = checkpoint.optimizer?.tensors ?? { tensors: new Map() };
    const names = [...openModel(checkpoint.files).weights.tensors.keys()].filter(
      (name) => !name.endsWith('out_norm.eps'),
    );
    expect([...tensors.keys()].sort()).toEqual(
      names.flatMap((name) => [`exp_avg.${name}`, `exp_avg_sq.${name}`]).sort(),
    );
    // PyTorch's own moments, by the number that the parameter has there.
    const moments = await expectedOf('article-next.pt');
    for (const [name, { data }] of moments) {
      expect(await checkpoint.optimizer?.tensors.read(name), name).toEqual(data);
    }
    expect(moments.length).toBeGreaterThan(0);
  });
});

describe("icefall's checkpoint", () => {
  it('tells scales, moments of them, averages, and where the training was', async () => {
    const checkpoint = await openTrainingCheckpoint(await fixture('icefall.pt'), { config });
    expect(checkpoint).toMatchObject({
      ...{ epoch: 1, batch: 2, bestValidLoss: 1.5, gradScaler: { scale: 32768, finite: 7 } },
      scheduler: { type: 'eden', batch: 2, epoch: 1, learningRate: 3e-3 },
      optimizer: { taken: 2, optimizer: 'eve', eps: 1e-8, weightDecay: 1e-3 },
    });
    const stored = await trainingTensors('checkpoints/icefall.pt');
    const scale = tensorOf(stored, `${LSTM}_scale`).data[0];
    expect(checkpoint.scales.get(LSTM)).toBe(scale);
    expect(checkpoint.scales.has('ctc_output.1.weight')).toBe(false);
    const weights = await openModel(checkpoint.files).weights.read(LSTM);
    expectWithinShare(
      weights,
      tensorOf(stored, LSTM).data.map((value) => value * Math.exp(scale)),
      ROUNDED,
      LSTM,
    );
    const { tensors } = checkpoint.optimizer ?? expect.fail('no optimizer');
    expect(await tensors.read(`scale.${LSTM}`)).toEqual(Float32Array.of(scale));
    for (const [name, { data }] of await expectedOf('icefall-next.pt')) {
      const averaged = name.startsWith('model_avg.');
      expectWithinShare(await tensors.read(name), data, averaged ? ROUNDED : 0, name);
    }
  });
});

it('is refused where there is no dict', async () => {
  await failure('bad-checkpoint', async () => openTrainingCheckpoint(await fixture('checkpoints.py'), { config }));
});

describe('the state of an optimizer is refused', () => {
  const dict = (entries: Readonly<Record<string, PickleValue>>) =>
    new Map<PickleValue, PickleValue>(Object.entries(entries));
  const floats = storageOf(['storage', findConstructor('torch', 'FloatStorage') ?? null, '0', 'cpu', 8]);
  const tensor = (...shape: number[]) =>
    floats instanceof StorageRef
      ? new TensorRef(
          floats,
          0,
          shape,
          shape.map(() => 1),
        )
      : expect.fail('no storage');
  const moments = (step: PickleValue) => dict({ step, exp_avg: tensor(3), exp_avg_sq: tensor(3) });
  const parameters: StoredParameter[] = ['a', 'b'].map((stored) => ({ stored, shape: [3], name: stored }));
  const group = { params: [0, 1], lr: 0.1 };
  const read = (first: PickleValue, second: PickleValue, options: Readonly<Record<string, PickleValue>> = group) => {
    const state = new Map<PickleValue, PickleValue>([
      [0, first],
      [1, second],
    ]);
    const sourceOf = () => ({ tensors: new Map(), read: async () => Float32Array.of(4) });
    return readOptimizerState({ root: null, sourceOf }, dict({ state, param_groups: [dict(options)] }), parameters);
  };

  it('but not one that fits, with a number or a tensor for its steps', async () => {
    expect(await read(moments(4), moments(tensor()))).toMatchObject({ taken: 4, learningRate: 0.1 });
  });

  it.each<[string, PickleValue, PickleValue, Readonly<Record<string, PickleValue>>?]>([
    ['with moments of another shape', moments(1), dict({ step: 1, exp_avg: tensor(2), exp_avg_sq: tensor(3) })],
    ['of SGD', dict({ momentum_buffer: tensor(3) }), dict({ momentum_buffer: tensor(3) })],
    ['of unequal steps', moments(1), moments(2)],
    ['of half a step', moments(0.5), moments(0.5)],
    ['of steps for each element', moments(tensor(3)), moments(tensor(3))],
    ['of other parameters', moments(1), moments(1), { params: [0] }],
    ['whose parameters are no numbers', moments(1), moments(1), { params: ['a', 'b'] }],
    ['with amsgrad', moments(1), moments(1), { ...group, amsgrad: true }],
    ['that holds what was not executed', moments(1), new Opaque('a value')],
  ])('%s', async (_, first, second, options) => {
    await failure('bad-checkpoint', () => read(first, second, options));
  });

  it('that is no dict', async () => {
    const sourceOf = () => ({ tensors: new Map(), read: async () => new Float32Array(0) });
    await failure('bad-checkpoint', () => readOptimizerState({ root: null, sourceOf }, [1], parameters));
  });
});
