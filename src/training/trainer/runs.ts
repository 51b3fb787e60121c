import type { EngineOptions } from '../../engine.ts';
import type { ModelFiles } from '../../model/model.ts';
import type { WordErrors } from '../../text/word-errors.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import type { CheckpointFiles, TrainerState } from './checkpoint.ts';
import type { Dataset } from './dataset.ts';

/** What a step was. */
export interface StepReport {
  /** Steps so far, this one among them. */
  step: number;
  /** Passes over the data so far, with the share of the one that is under way. */
  epoch: number;
  /** As it was reduced. */
  loss: number;
  /** All utterances' losses by all their encoder frames. */
  lossPerFrame: number;
  /** Of all gradients, before clipping. */
  gradNorm: number;
  /** Of this step. */
  learningRate: number;
  /** Whether gradients were not finite, so that nothing has changed. */
  isSkipped: boolean;
  /** Of its utterances, as they were trained on. */
  audioSeconds: number;
  /** Steps of the whole training. */
  totalSteps: number;
}

/** How well a model does on recordings that it is not trained on. */
export interface Evaluation {
  /** Mean of the utterances' losses. */
  loss: number;
  /** All losses by all encoder frames. */
  lossPerFrame: number;
  /** Of a greedy search. */
  words: WordErrors;
  /** Substitutions, insertions and deletions by the words that were said; null where none were. */
  wordErrorRate: number | null;
}

/** A validation, and where in the training it was. */
export interface EvaluationReport extends Evaluation {
  /** Steps so far. */
  step: number;
  /** Passes over the data so far. */
  epoch: number;
  /** Whether no validation before was better. */
  isBest: boolean;
}

/** Where checkpoints are kept. */
export interface CheckpointStore {
  /**
   * Writes one; what is there of that name is replaced.
   *
   * @param name `best`, or `checkpoint-` with the step
   * @param files with an average `best` is a model folder alone, of the averages that were validated
   */
  write: (name: string, files: CheckpointFiles | ModelFiles) => Promise<void>;
  /** Removes one that is no longer among the last. */
  remove: (name: string) => Promise<void>;
  /** Names of those that are there already, which a training that is gone on with has written before; none by default. */
  list?: () => Promise<readonly string[]>;
}

/** What a training is told. */
export interface TrainRun {
  /** What it is validated on; nothing by default. */
  evalDataset?: Dataset;
  /** Called behind each step. */
  onStep?: (report: StepReport) => void;
  /** Called behind each validation. */
  onEvaluate?: (report: EvaluationReport) => void;
  /** Where checkpoints go; nowhere by default. */
  checkpoints?: CheckpointStore;
  /** Ends it behind the step that is under way; `save` and `train` go on from there. */
  signal?: AbortSignal;
}

/** What a trainer begins with, beside weights. */
export interface TrainerStart {
  /** @internal Moments, and the rest that an optimizer remembers. */
  optimizer?: SavedOptimizer;
  /** Log-scales of icefall's scaled parametrisation, by the names of their tensors: those are trained then, too. */
  scales?: ReadonlyMap<string, number>;
  /** Where it stands; at the beginning by default. */
  state?: Partial<Pick<TrainerState, 'step' | 'epoch' | 'bestValidLoss'>>;
}

/** What a trainer runs on. */
export type TrainerDevice = Pick<EngineOptions, 'device'>;
