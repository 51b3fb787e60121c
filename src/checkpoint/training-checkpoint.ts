import type { ModelFiles } from '../model/model.ts';
import { expectedTensors } from '../model/sizes.ts';
import type { TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import { blobSource, type ByteSource } from './bytes.ts';
import { convertCheckpoint, openCheckpoint, type ConvertOptions } from './convert.ts';
import { foldScales, type FoldedTensors } from './fold.ts';
import { openTorch } from './open.ts';
import { numberIn, readOptimizerState, type OptimizerState, type StoredParameter } from './optimizer-state.ts';
import type { PickleValue } from './pickle.ts';
import { findStateDict } from './torch.ts';

/** What icefall's Eden remembers: the epoch, counted from 0, and batches taken. */
export interface SavedEden {
  /** Which it is. */
  type: 'eden';
  /** Learning rate at the start. */
  learningRate?: number;
  /** Batches taken. */
  batch: number;
  /** Counted from 0. */
  epoch: number;
}

/** What PyTorch's `ReduceLROnPlateau` remembers. */
export interface SavedPlateau {
  /** Which it is. */
  type: 'reduce_lr_on_plateau';
  /** null before the first validation. */
  best: number | null;
  /** Validations since the best. */
  bad: number;
  /** Validations that do not count yet. */
  cooldown: number;
  /** What the learning rate is multiplied by. */
  factor?: number;
  /** Validations without a better loss that are let pass. */
  patience?: number;
}

/** What PyTorch's `GradScaler` remembers. */
export interface SavedScaler {
  /** What losses are multiplied by. */
  scale: number;
  /** Finite steps since it last changed. */
  finite: number;
}

/** What a training with PyTorch has come to: icefall's checkpoints, and those of a script with `model_state_dict`. */
export interface TrainingCheckpoint {
  /** The model's folder, scales folded. */
  files: ModelFiles;
  /** The log-scales of tensors by their names; empty in the plain parametrisation. */
  scales: ReadonlyMap<string, number>;
  /** Absent where the file has none. With icefall's average it has `model_avg.NAME`, too, and with scales `scale.NAME`. */
  optimizer?: OptimizerState;
  /** Of those that are known here. */
  scheduler?: SavedEden | SavedPlateau;
  /** PyTorch's `GradScaler`, of mixed precision. */
  gradScaler?: SavedScaler;
  /** The epoch that was saved, as its script counts. */
  epoch?: number;
  /** Batches of the whole training. */
  batch?: number;
  /** As its script means it. */
  bestValidLoss?: number;
}

/**
 * Opens a checkpoint that PyTorch's training can be resumed from. Nothing in the file is executed; moments are read as they are
 * asked for.
 *
 * @param options what the file cannot tell, as for `convertCheckpoint`
 * @throws RillError `bad-checkpoint` for what does not fit, `bad-model` for config and tokens.
 */
export async function openTrainingCheckpoint(
  source: Blob | ByteSource,
  options: Pick<ConvertOptions, 'config' | 'tokens'> = {},
): Promise<TrainingCheckpoint> {
  const bytes = source instanceof Blob ? blobSource(source) : source;
  const file = await openTorch(bytes);
  const { root } = file;
  if (!(root instanceof Map)) {
    throw badCheckpoint('a file without a dict', 'a training checkpoint', 'Convert it as a model, and train that.');
  }
  const { sizes } = await openCheckpoint(bytes, options);
  const names = [...expectedTensors(sizes).keys()];
  const stored = file.sourceOf(findStateDict(root, {}));
  const folded = foldScales(stored);
  const scales = await readScales(stored, folded, names);
  const optimizer = root.get('optimizer') ?? root.get('optimizer_state_dict');
  const averaged = root.has('model_avg')
    ? foldScales(file.sourceOf(findStateDict(root, { averaged: true })))
    : undefined;
  const state = optimizer && (await readOptimizerState(file, optimizer, parametersOf(stored, folded, new Set(names))));
  return {
    files: await convertCheckpoint(bytes, options),
    scales,
    ...(state && { optimizer: { ...state, tensors: joined(state.tensors, names, scales, averaged) } }),
    scheduler: schedulerOf(root.get('scheduler') ?? root.get('scheduler_state_dict')),
    gradScaler: gradScalerOf(root.get('grad_scaler')),
    epoch: numberIn(root, 'cur_epoch') ?? numberIn(root, 'epoch'),
    batch: numberIn(root, 'batch_idx_train'),
    bestValidLoss: numberIn(root, 'best_valid_loss') ?? numberIn(root, 'val_loss'),
  };
}

async function readScales(stored: TensorSource, folded: FoldedTensors, names: readonly string[]) {
  const scales = new Map<string, number>();
  for (const name of names) {
    const scale = folded.stored.get(name)?.scale;
    if (scale !== undefined) {
      scales.set(name, (await stored.read(scale))[0]);
    }
  }
  return scales;
}

/** Stored names of buffers, which PyTorch's optimizers do not know. */
const isBuffer = (stored: string) => stored.endsWith('out_norm.eps');

/** The parameters of a state dict, in its order: that of `model.parameters()`. */
function parametersOf(stored: TensorSource, folded: FoldedTensors, used: ReadonlySet<string>): StoredParameter[] {
  const leaves = new Map<string, string>();
  for (const [name, { weight, scale }] of folded.stored) {
    if (used.has(name)) {
      leaves.set(weight, name);
      if (scale !== undefined) {
        leaves.set(scale, `scale.${name}`);
      }
    }
  }
  return [...stored.tensors]
    .filter(([name]) => !isBuffer(name))
    .map(([name, { shape }]) => ({ stored: name, shape, name: leaves.get(name) }));
}

/** Moments with scales, and with averages of the weights. */
function joined(
  moments: TensorSource,
  names: readonly string[],
  scales: ReadonlyMap<string, number>,
  averaged: FoldedTensors | undefined,
): TensorSource {
  const readers = new Map<string, () => Promise<Float32Array<ArrayBuffer>>>();
  const tensors = new Map(moments.tensors);
  scales.forEach((scale, name) => {
    tensors.set(`scale.${name}`, { dtype: 'F32', shape: [] });
    readers.set(`scale.${name}`, () => Promise.resolve(Float32Array.of(scale)));
  });
  for (const name of names) {
    const info = averaged?.tensors.get(name);
    if (averaged && info) {
      tensors.set(`model_avg.${name}`, info);
      readers.set(`model_avg.${name}`, () => averaged.read(name));
    }
  }
  return { tensors, read: (name) => readers.get(name)?.() ?? moments.read(name) };
}

function schedulerOf(dict: PickleValue | undefined): SavedEden | SavedPlateau | undefined {
  if (!(dict instanceof Map)) {
    return undefined;
  }
  const [batch, epoch, bad] = ['batch', 'epoch', 'num_bad_epochs'].map((key) => numberIn(dict, key));
  if (bad !== undefined) {
    const best = numberIn(dict, 'best');
    return {
      ...{ type: 'reduce_lr_on_plateau', bad, best: best !== undefined && Number.isFinite(best) ? best : null },
      cooldown: numberIn(dict, 'cooldown_counter') ?? 0,
      factor: numberIn(dict, 'factor'),
      patience: numberIn(dict, 'patience'),
    };
  }
  const base = dict.get('base_lrs');
  const [learningRate] = Array.isArray(base) ? (base as PickleValue[]) : [];
  return batch === undefined || epoch === undefined
    ? undefined
    : { type: 'eden', batch, epoch, ...(typeof learningRate === 'number' && { learningRate }) };
}

function gradScalerOf(dict: PickleValue | undefined): { scale: number; finite: number } | undefined {
  const scale = numberIn(dict, 'scale');
  return scale === undefined ? undefined : { scale, finite: numberIn(dict, '_growth_tracker') ?? 0 };
}
