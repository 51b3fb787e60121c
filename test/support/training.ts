/** Golden cases of training: test/fixtures/training. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { openTensors } from '../../src/checkpoint/open.ts';
import type { ModelFiles } from '../../src/model/model.ts';
import type { Draws } from '../../src/training/draws.ts';
import { readNpy, type NpyArray } from '../../tools/npy.ts';
import { expectWithinShare } from './close.ts';
import { fixturePath, madeOnce, readFixture } from './fixtures.ts';

/** PyTorch's own float32 is off by up to 1.1e-5 of a tensor's largest gradient; by this much a kernel may be. */
const GRADIENT_SHARE = 1e-4;
/** One number out of much cancellation: PyTorch's own float32 is off by 3e-4. */
const EPS_SHARE = 2e-3;
export const LOSS_SHARE = 1e-5;

/** Compares the gradients of a network in float32, of those tensors that are expected. */
export function expectNetworkGradients(
  gradients: ReadonlyMap<string, ArrayLike<number>>,
  expected: ReadonlyMap<string, ArrayLike<number>>,
): void {
  for (const [name, gradient] of expected) {
    const share = name.endsWith('norm_final.eps') ? EPS_SHARE : GRADIENT_SHARE;
    expectWithinShare(gradients.get(name) ?? [], gradient, share, name);
  }
}

/** Adam moves every weight by about the learning rate at first, by the sign of what may be rounding noise. */
const WEIGHT_RMS = 2e-5;
const FAR = 1e-4;
const FAR_SHARE = 1e-3;

/** Compares weights behind some steps of an optimizer, all of those that are expected as one. */
export function expectSteppedWeights(
  actual: ReadonlyMap<string, ArrayLike<number>>,
  expected: ReadonlyMap<string, Float64Array>,
): void {
  let [squares, far, count] = [0, 0, 0];
  for (const [name, values] of expected) {
    const own = actual.get(name) ?? [];
    values.forEach((value, i) => {
      const difference = Math.abs(own[i] - value);
      squares += difference ** 2;
      far += difference <= FAR ? 0 : 1;
      count++;
    });
  }
  expect(Math.sqrt(squares / count)).toBeLessThan(WEIGHT_RMS);
  expect(far / count).toBeLessThan(FAR_SHARE);
}

/** An array with its shape, C order. */
export type Tensor = NpyArray;
/** By icefall's names. */
export type Tensors = ReadonlyMap<string, Tensor>;

export const TRAINING_CASES = ['small', 'noproj', 'deep'] as const;
export type TrainingCaseName = (typeof TRAINING_CASES)[number];

/** `config.json` of a case. */
export interface TrainingConfig {
  numFeatures: number;
  dModel: number;
  rnnHiddenSize: number;
  dimFeedforward: number;
  numEncoderLayers: number;
  /** The layers that RandomCombine combines. */
  auxLayers: number[];
  /** Probability of dropout. */
  dropout: number;
  vocabSize: number;
}

/** What PyTorch has of one forward and backward. */
export interface Expected {
  lossPerUtterance: number[];
  sum: number;
  mean: number;
  /** What the gradients are of. */
  reduction: 'sum' | 'mean';
  /** Over all parameters. */
  gradNorm: number;
  /** Of all parameters. */
  grads: Tensors;
  /** `encoder_out`, `embed`, `layer0`, `log_probs`, `d_logits` and so on: (N, T', width). */
  arrays: Tensors;
}

/** A network with a batch of utterances, what is drawn, and what PyTorch makes of it. */
export interface TrainingCase {
  config: TrainingConfig;
  /** Plain weights: scales folded. */
  model: Tensors;
  /** The same as a model folder. */
  files: ModelFiles;
  /** (N, T, numFeatures), padded with log(1e-10). */
  features: Tensor;
  /** (N) feature frames. */
  lens: number[];
  targets: number[][];
  /** In eval mode, gradients of the sum. */
  eval: Expected;
  /** In training mode with `draws`, gradients of the mean. */
  train: Expected;
  draws: Draws;
}

/** A JSON file, as it stands there. */
export async function trainingJson<Content>(path: string): Promise<Content> {
  return JSON.parse(new TextDecoder().decode(await readFixture(`training/${path}`))) as Content;
}

export const trainingArray = async (path: string): Promise<Tensor> =>
  readNpy(await readFixture(`training/${path}.npy`), path);

/** The tensors of a `.pt` file. */
export async function trainingTensors(path: string): Promise<Tensors> {
  const source = await openTensors(bytesSource(await readFixture(`training/${path}`), path));
  const tensors = new Map<string, Tensor>();
  for (const [name, { shape }] of source.tensors) {
    tensors.set(name, { shape: [...shape], data: await source.read(name) });
  }
  return tensors;
}

/** All arrays of a folder by their names. */
async function arraysIn(folder: string): Promise<Tensors> {
  const files = (await readdir(fixturePath(`training/${folder}`))).filter((file) => file.endsWith('.npy'));
  const names = files.map((file) => file.replace(/\.npy$/, ''));
  return new Map(
    await Promise.all(names.map(async (name) => [name, await trainingArray(`${folder}/${name}`)] as const)),
  );
}

/** One of a map's values. */
export function tensorOf(tensors: Tensors, name: string): Tensor {
  const tensor = tensors.get(name);
  if (!tensor) {
    throw new Error(`no ${name} among ${[...tensors.keys()].join(', ')}`);
  }
  return tensor;
}

/** Tensors in float64, without their shapes. */
export const weightsOf = (tensors: Tensors): Map<string, Float64Array> =>
  new Map([...tensors].map(([name, { data }]) => [name, Float64Array.from(data)]));

async function readExpected(folder: string): Promise<Expected> {
  const loss = await trainingJson<{
    loss_per_utterance: number[];
    sum: number;
    mean: number;
    gradients_are_of: 'sum' | 'mean';
    grad_norm: number;
  }>(`${folder}/loss.json`);
  return {
    lossPerUtterance: loss.loss_per_utterance,
    sum: loss.sum,
    mean: loss.mean,
    reduction: loss.gradients_are_of,
    gradNorm: loss.grad_norm,
    grads: await trainingTensors(`${folder}/grads.pt`),
    arrays: await arraysIn(folder),
  };
}

async function readDraws(name: string, layers: number, arrays: Tensors): Promise<Draws> {
  const { alpha } = await trainingJson<{ alpha: number[] }>(`${name}/train/draws.json`);
  const mask = (part: string) => tensorOf(arrays, `mask_${part}`).data;
  return {
    alpha,
    layers: Array.from({ length: layers }, (_, l) => ({
      lstm: mask(`layer${l}_lstm`),
      ffInner: mask(`layer${l}_ff_inner`),
      ff: mask(`layer${l}_ff`),
    })),
    head: mask('head'),
    combine: tensorOf(arrays, 'combine_weights').data,
  };
}

export const trainingCase = madeOnce(async (name: TrainingCaseName): Promise<TrainingCase> => {
  const text = await readFile(fixturePath(`training/${name}/config.json`), 'utf8');
  const json = JSON.parse(text) as Record<string, number> & { aux_layers: number[]; targets: number[][] };
  const config: TrainingConfig = {
    numFeatures: json.num_features,
    dModel: json.d_model,
    rnnHiddenSize: json.rnn_hidden_size,
    dimFeedforward: json.dim_feedforward,
    numEncoderLayers: json.num_encoder_layers,
    auxLayers: json.aux_layers,
    dropout: json.dropout,
    vocabSize: json.vocab_size,
  };
  const train = await readExpected(`${name}/train`);
  const checkpoint = bytesSource(await readFixture(`training/${name}/model.pt`), 'model.pt');
  return {
    config,
    model: await trainingTensors(`${name}/model.pt`),
    files: await convertCheckpoint(checkpoint, { config: text }),
    features: await trainingArray(`${name}/features`),
    lens: [...(await trainingArray(`${name}/feature_lens`)).data],
    targets: json.targets,
    eval: await readExpected(`${name}/eval`),
    train,
    draws: await readDraws(name, config.numEncoderLayers, train.arrays),
  };
});

/** icefall's parametrisation, in eval mode; gradients are of the sum. */
export interface ScaledCase extends Pick<TrainingCase, 'config' | 'files' | 'features' | 'lens' | 'targets'> {
  /** w and s, by icefall's names. */
  stored: Tensors;
  /** s by the name of its tensor. */
  scales: ReadonlyMap<string, number>;
  /** Steps by Eve with Eden. */
  eve: { betas: [number, number]; eps: number; weight_decay: number; steps: { loss: number; lr: number }[] };
}

export async function scaledCase(): Promise<ScaledCase> {
  const golden = await trainingJson<
    Pick<ScaledCase, 'targets' | 'eve'> & { config: Record<'feat' | 'd' | 'h' | 'ff' | 'L' | 'V', number> }
  >('scaled/loss.json');
  const { feat, d, h, ff, L, V } = golden.config;
  const stored = await trainingTensors('scaled/checkpoint.pt');
  const checkpoint = bytesSource(await readFixture('training/scaled/checkpoint.pt'), 'checkpoint.pt');
  return {
    config: {
      ...{ numFeatures: feat, dModel: d, rnnHiddenSize: h, dimFeedforward: ff, numEncoderLayers: L, vocabSize: V },
      ...{ auxLayers: [], dropout: 0 },
    },
    files: await convertCheckpoint(checkpoint, { config: JSON.stringify({ num_features: feat }) }),
    features: await trainingArray('scaled/features'),
    lens: [...(await trainingArray('scaled/feature_lens')).data],
    targets: golden.targets,
    stored,
    scales: new Map(
      [...stored]
        .filter(([name]) => name.endsWith('_scale'))
        .map(([name, { data }]) => [name.replace(/_scale$/, ''), data[0]] as const),
    ),
    eve: golden.eve,
  };
}
