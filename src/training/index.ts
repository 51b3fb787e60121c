/** Rill's entry for training, `rill-asr/training`, beside the public one: pages that only recognise load none of it. */
export * from './teach/index.ts';

// Training on recordings with their texts.
export {
  Trainer,
  type CheckpointStore,
  type EvaluationReport,
  type StepReport,
  type TrainRun,
  type TrainerDevice,
  type TrainerStart,
} from './trainer/trainer.ts';
export type { Augmentation, TrainerOptions } from './trainer/options.ts';
export type { LrSchedulerType } from './trainer/schedule.ts';
export type { CheckpointFiles, LogEntry, TrainerState } from './trainer/checkpoint.ts';
export type { Evaluation } from './trainer/evaluation.ts';
export { Dataset, type RefusedRecording, type TrainingRecording, type TrainingUtterance } from './trainer/dataset.ts';
export { startFrom } from './trainer/start.ts';
export { openTrainingCheckpoint, type TrainingCheckpoint } from '../checkpoint/training-checkpoint.ts';
export { initialModel, type InitialModel, type InitialOptions } from './scratch.ts';
export { ICEFALL_SPEC_AUGMENT, PHRASE_SPEC_AUGMENT, type SpecAugmentOptions } from './augment/spec-augment.ts';
export type { TrainingBatch } from './batch.ts';
