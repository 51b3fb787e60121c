import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel, type Model, type ModelFiles } from '../../../src/model/model.ts';
import { TokenTable } from '../../../src/model/tokens.ts';
import { WebGpuEngine } from '../../../src/webgpu/engine.ts';
import type { CheckpointFiles } from '../../../src/training/trainer/checkpoint.ts';
import { Dataset } from '../../../src/training/trainer/dataset.ts';
import type { TrainerOptions } from '../../../src/training/trainer/options.ts';
import type { StepReport } from '../../../src/training/trainer/runs.ts';
import { Trainer } from '../../../src/training/trainer/trainer.ts';
import { createNodeContext } from '../../../tools/runtime/node-gpu.ts';
import { randomModel } from '../../../tools/runtime/random-model.ts';
import { failure } from '../../support/failure.ts';

const context = await createNodeContext();
const device = new WebGpuEngine(context);
const tokens = TokenTable.parse('<blk> 0\na 1\nb 2\nc 3\n▁ 4\n');
const sizes = { dModel: 20, rnnHiddenSize: 24, dimFeedforward: 32, numEncoderLayers: 3 };
const model: Model = { ...randomModel(sizes, tokens.size, { numFeatures: 23, channels: [4, 4, 8] }), tokens };

/** Tones that stand for letters. */
const TONES: Readonly<Record<string, number>> = { a: 300, b: 900, c: 2000 };

function sung(text: string): { samples: Float32Array; sampleRate: number } {
  const sampleRate = 16000;
  const length = Math.round(0.2 * sampleRate);
  const samples = new Float32Array((text.length + 1) * length);
  [...text].forEach((letter, k) => {
    for (let i = 0; i < length; i++) {
      samples[k * length + i] = 0.3 * Math.sin((2 * Math.PI * TONES[letter] * i) / sampleRate);
    }
  });
  return { samples, sampleRate };
}

const textsOf = ['ab', 'c', 'cab', 'ba', 'abc'].map((text) => ({ text, audio: sung(text), name: text }));

/** Everything that is drawn, and all that is remembered between steps. */
const RANDOM: TrainerOptions = {
  batchSize: 2,
  gradientAccumulationSteps: 2,
  learningRate: 1e-3,
  warmupSteps: 2,
  maxSteps: 10,
  dropout: 0.1,
  layerDropout: 0.2,
  auxLayerPeriod: 1,
  average: { decay: 0.9 },
  augmentation: { speed: [0.95, 1, 1.05], gain: [-6, 6], noise: { probability: 0.5, level: [-60, -50] } },
  seed: 5,
};

describe('a training', () => {
  let dataset: Dataset;
  beforeAll(async () => {
    dataset = await Dataset.open(model, textsOf);
  });
  afterAll(() => {
    context.dispose();
  });

  async function stepsOf(trainer: Trainer, until: number): Promise<StepReport[]> {
    const reports: StepReport[] = [];
    const stop = new AbortController();
    const onStep = (report: StepReport) => {
      reports.push(report);
      if (report.step === until) {
        stop.abort();
      }
    };
    await trainer.train(dataset, { onStep, signal: stop.signal });
    return reports;
  }

  it('that was stopped after 5 steps and resumed is after 10 the same to the byte as one that was not', async () => {
    const whole = await Trainer.create(model, { ...RANDOM, device });
    const all = await stepsOf(whole, 10);
    const expected = await whole.save();
    whole.dispose();

    const begun = await Trainer.create(model, { ...RANDOM, device });
    const first = await stepsOf(begun, 5);
    const saved = structuredClone(await begun.save());
    begun.dispose();
    const resumed = await Trainer.resume(saved, { device });
    const rest = await stepsOf(resumed, 10);
    const got = await resumed.save();
    resumed.dispose();

    expect([...first, ...rest]).toEqual(all);
    expect(got['trainer_state.json']).toBe(expected['trainer_state.json']);
    for (const name of ['model.safetensors', 'optimizer.safetensors'] as const) {
      expect(Buffer.compare(got[name], expected[name]), name).toBe(0);
    }
    expect(Buffer.compare(saved['model.safetensors'], expected['model.safetensors'])).not.toBe(0);
  });

  it.each([
    ['', {}],
    [', of the averages', { average: { decay: 0.8 } }],
  ])(
    'learns what it is shown, keeps its best and its last checkpoints, and gives the best back%s',
    async (_, options) => {
      const trainer = await Trainer.create(model, {
        ...{ device, maxSteps: 20, batchSize: 5, learningRate: 1e-2, lrSchedulerType: 'constant' },
        ...{ saveSteps: 5, saveTotalLimit: 1, evalSteps: 10, loadBestModelAtEnd: true },
        ...options,
      });
      // One is there of before.
      const store = new Map<string, CheckpointFiles | ModelFiles>([['checkpoint-0', await trainer.save()]]);
      const evaluations: number[] = [];
      const before = await trainer.evaluate(dataset);
      const last = await trainer.train(dataset, {
        evalDataset: dataset,
        onEvaluate: ({ lossPerFrame }) => evaluations.push(lossPerFrame),
        checkpoints: {
          write: async (name, written) => void store.set(name, written),
          remove: async (name) => void store.delete(name),
          list: async () => [...store.keys()],
        },
      });
      expect([...store.keys()].sort()).toEqual(['best', 'checkpoint-20']);
      expect(last?.step).toBe(20);
      expect(evaluations).toHaveLength(2);
      expect(Math.min(...evaluations)).toBeLessThan(before.lossPerFrame / 2);
      const best = store.get('best');
      expect(best).toBeDefined();
      expect((await trainer.toModel())['model.safetensors']).toEqual(best?.['model.safetensors']);
      expect(best && 'trainer_state.json' in best).toBe(!('average' in options));
      expect(openModel(await trainer.toModel()).tokens?.size).toBe(5);
      trainer.dispose();
    },
  );

  it('leaves out what it cannot train on, with a reason, and refuses a set of nothing else', async () => {
    const wrong = [
      { text: 'xyz', audio: sung('a'), name: 'unspellable' },
      { text: 'abcabcabcabc', audio: sung('a'), name: 'short' },
    ];
    const opened = await Dataset.open(model, [...textsOf, ...wrong]);
    expect(opened.utterances).toHaveLength(5);
    expect(opened.refused.map(({ name }) => name)).toEqual(['unspellable', 'short']);
    expect(await failure('bad-argument', () => Dataset.open(model, wrong))).toContain('unspellable');
    await failure('bad-argument', () => Dataset.open(model, []));
  });

  it('refuses options that are none, and folders that are no checkpoint', async () => {
    await failure('bad-argument', () => Trainer.create(model, { batchSize: 0 }));
    await failure('bad-argument', () => Trainer.create(model, { lrSchedulerType: 'cosine' as 'linear' }));
    const trainer = await Trainer.create(model, { device });
    const files = await trainer.save();
    trainer.dispose();
    const { 'trainer_state.json': state, ...without } = files;
    await failure('bad-model', () => Trainer.resume(without as CheckpointFiles));
    for (const broken of ['{', '{}', state.replace('"step": 0', '"step": -1')]) {
      await failure('bad-model', () => Trainer.resume({ ...files, 'trainer_state.json': broken }));
    }
  });
});
