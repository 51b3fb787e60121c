import { RillError, shown } from '../../errors.ts';
import { parseJson } from '../../model/config.ts';
import type { ModelFiles } from '../../model/model.ts';
import { readSafetensors, writeSafetensors } from '../../model/safetensors.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import type { PlateauState } from '../schedules.ts';
import type { TrainerOptions } from './options.ts';

/** A line of what was logged. */
export interface LogEntry {
  /** Steps so far. */
  step: number;
  /** Passes over the data, with the share of the one that is under way. */
  epoch: number;
  /** Of a step. */
  loss?: number;
  /** Of a step, all its losses by all its encoder frames. */
  lossPerFrame?: number;
  /** Of a step. */
  learningRate?: number;
  /** Of a step, before clipping. */
  gradNorm?: number;
  /** Of a validation, by frame. */
  evalLoss?: number;
  /** Of a validation. */
  wordErrorRate?: number | null;
}

/** Where a training stands: `trainer_state.json`. */
export interface TrainerState {
  /** Steps, those that were skipped among them. */
  step: number;
  /** Micro-batches, which draws are counted by. */
  microStep: number;
  /** Passes over the data that are done. */
  epoch: number;
  /** Steps of the one that is under way. */
  stepInEpoch: number;
  /** Lowest validation loss by frame; null before the first. */
  bestValidLoss: number | null;
  /** The step that it was found at. */
  bestStep: number | null;
  /** Of the learning rate that falls when validation does no better. */
  scheduler: PlateauState;
  /** What was logged, the newest last. */
  log: LogEntry[];
  /** As they were stated. */
  options: TrainerOptions;
}

/** The files of a checkpoint: a model folder, and what training goes on from. */
export interface CheckpointFiles extends ModelFiles {
  /** Moments and, where there are, averages and scales. */
  'optimizer.safetensors': Uint8Array<ArrayBuffer>;
  /** Where training stands, as JSON. */
  'trainer_state.json': string;
}

/** What is in a checkpoint beside the model. */
export interface CheckpointState {
  optimizer: SavedOptimizer;
  state: TrainerState;
}

export async function writeCheckpoint(
  model: ModelFiles,
  { optimizer: { tensors, taken, words }, state }: CheckpointState,
): Promise<CheckpointFiles> {
  const toWrite = Array.from(tensors.tensors, ([name, { shape }]) => ({ name, shape, read: () => tensors.read(name) }));
  return {
    ...model,
    'optimizer.safetensors': await writeSafetensors(toWrite),
    'trainer_state.json': `${JSON.stringify({ ...state, optimizer: { taken, words } }, null, 1)}\n`,
  };
}

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** @throws RillError `bad-model` for files that are no checkpoint's. */
export function readCheckpoint(files: CheckpointFiles): CheckpointState {
  const [text, bytes]: unknown[] = [files['trainer_state.json'], files['optimizer.safetensors']];
  if (typeof text !== 'string' || !(bytes instanceof Uint8Array)) {
    const missing = typeof text === 'string' ? 'optimizer.safetensors' : 'trainer_state.json';
    throw bad(`a folder without ${missing}`, 'a checkpoint that training wrote');
  }
  const { optimizer, ...state } = parseJson(text, 'trainer_state.json');
  const { taken, words } = (optimizer ?? {}) as Record<string, unknown>;
  const { step, microStep, epoch, stepInEpoch, bestValidLoss, bestStep, scheduler, log, options } = state;
  const counts = { step, microStep, epoch, stepInEpoch };
  const wrong = Object.entries(counts).find(([, value]) => !isWhole(value));
  if (wrong) {
    throw bad(`${wrong[0]}: ${shown(wrong[1])} in trainer_state.json`, 'a whole number');
  }
  const isState =
    isWhole(taken) &&
    Array.isArray(words) &&
    Array.isArray(log) &&
    isRecord(options) &&
    isRecord(scheduler) &&
    [bestValidLoss, bestStep].every((value) => value === null || typeof value === 'number');
  if (!isState) {
    throw bad('a trainer_state.json that lacks some of its parts', 'optimizer, log, options, scheduler, bestValidLoss');
  }
  return {
    optimizer: { tensors: readSafetensors(bytes), taken, words: words as number[] },
    state: state as unknown as TrainerState,
  };
}

const isRecord = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (got: string, expected: string) =>
  new RillError('bad-model', {
    got,
    expected,
    remedy:
      'Resume from a folder checkpoint-… or best, with all of its files; a model folder alone begins a new training.',
  });
