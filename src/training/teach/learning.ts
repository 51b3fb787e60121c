import type { Model } from '../../model/model.ts';
import type { TensorSource } from '../../model/tensors.ts';
import type { HiddenBatch } from '../batch.ts';
import { CTC_HEAD } from '../layout.ts';
import type { LossOptions } from '../losses/loss.ts';
import type { Capacity } from '../operations.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { HEAD_RATE, LOSS_DIVISOR } from './recipe.ts';

/** What trains the last layers of a model and its CTC head by Adam: a GPU, or the CPU. */
export interface Learner {
  /**
   * Takes a step by the gradients of some batches together.
   *
   * @returns their loss
   * @throws RillError `device-lost`, `gpu`.
   */
  step: (batches: readonly HiddenBatch[], learningRate: number) => Promise<number>;
  /** A model's weights with those that are trained in their place, as they are now. @throws RillError as {@link step}. */
  into: (weights: TensorSource) => Promise<TensorSource>;
  /** What its optimizer remembers; nothing where no device can be lost. @throws RillError as {@link step}. */
  saveOptimizer: () => Promise<SavedOptimizer | undefined>;
  /** Frees its memory. */
  dispose: () => void;
}

/** What is to be trained. */
export interface LearnerTask {
  model: Model;
  /** The first layer that is trained. */
  from: number;
  /** The largest batch. */
  capacity: Capacity;
  /** What it goes on from, where a device was lost. */
  optimizer?: SavedOptimizer;
}

/** Of a step: the sum of all recordings' losses, over a number that does not change with them. */
export const LOSS: LossOptions = { reduction: 'sum', scale: 1 / LOSS_DIVISOR };

/** What a parameter's learning rate is multiplied by. */
export const relativeRate = (name: string) => (name.startsWith(CTC_HEAD) ? HEAD_RATE : 1);
