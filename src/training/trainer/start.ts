import type { TrainingCheckpoint } from '../../checkpoint/training-checkpoint.ts';
import type { TrainerOptions } from './options.ts';
import type { TrainerStart } from './runs.ts';

/** What `Trainer.create` takes to go on with a training of PyTorch's. */
export interface ResumedTraining {
  /** Options of its optimizer and schedule. */
  options: TrainerOptions;
  /** Moments, scales and counts. */
  start: TrainerStart;
}

/**
 * What a trainer goes on with from a checkpoint of PyTorch's: moments, scales, steps and epochs, and the optimizer's and the
 * schedule's options, which may be stated anew. Validation losses are not taken over: scripts mean different things by them.
 */
export function startFrom({ optimizer, scales, scheduler, epoch, batch }: TrainingCheckpoint): ResumedTraining {
  const { learningRate, betas, eps, weightDecay } = optimizer ?? {};
  const options: TrainerOptions = { optimizer: optimizer?.optimizer, learningRate, betas, eps, weightDecay };
  if (scheduler?.type === 'eden') {
    options.lrSchedulerType = 'eden';
    options.learningRate = scheduler.learningRate ?? learningRate;
  } else if (scheduler) {
    const { factor, patience } = scheduler;
    options.lrSchedulerType = 'reduce_lr_on_plateau';
    options.plateau = { ...(factor !== undefined && { factor }), ...(patience !== undefined && { patience }) };
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return {
    options: Object.fromEntries(given),
    start: {
      ...(optimizer && { optimizer: { tensors: optimizer.tensors, taken: optimizer.taken } }),
      ...(scales.size > 0 && { scales }),
      state: { step: batch ?? optimizer?.taken ?? 0, epoch: epoch ?? 0 },
    },
  };
}
