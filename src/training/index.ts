/** Rill's entry for training, `rill-asr/training`, beside the public one: pages that only recognise load none of it. */
export * from './teach/index.ts';

// Training on recordings with their texts.
export { Trainer } from './trainer/trainer.ts';
export type {
  CheckpointStore,
  Evaluation,
  EvaluationReport,
  StepReport,
  TrainRun,
  TrainerDevice,
  TrainerStart,
} from './trainer/runs.ts';
export type { Augmentation, NoiseOptions, OtherSpeechOptions, TrainerOptions } from './trainer/options.ts';
export type { LrSchedulerType } from './trainer/schedule.ts';
export type { CheckpointFiles, LogEntry, TrainerState } from './trainer/checkpoint.ts';
export { Dataset, type RefusedRecording, type TrainingRecording, type TrainingUtterance } from './trainer/dataset.ts';
export { startFrom, type ResumedTraining } from './trainer/start.ts';
export {
  openTrainingCheckpoint,
  type SavedEden,
  type SavedPlateau,
  type SavedScaler,
  type TrainingCheckpoint,
} from '../checkpoint/training-checkpoint.ts';
export type { OptimizerState } from '../checkpoint/optimizer-state.ts';
export { initialModel, type InitialModel, type InitialOptions } from './scratch.ts';
export { ICEFALL_SPEC_AUGMENT, PHRASE_SPEC_AUGMENT, type SpecAugmentOptions } from './augment/spec-augment.ts';
export type { TrainingBatch } from './batch.ts';
export type { DrawStep, Draws, LayerMasks, Mask } from './draws.ts';
export type { Reduction, Spike, Target, TargetBatch } from './losses/targets.ts';
export type { RnntType } from './losses/targets.ts';
export type { Head } from './losses/targets.ts';
export type { Average, ExponentialAverage, OptimizerName, PeriodicAverage } from './optimizer-options.ts';
export type { EdenOptions, PlateauOptions, PlateauState } from './schedules.ts';
export type { ShapingOptions } from './shaping-options.ts';
export type { WordErrors } from '../text/word-errors.ts';
