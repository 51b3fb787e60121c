import type { TrainingBatch } from '../batch.ts';
import { augmentedFeatures } from './augmented.ts';
import { batchOf } from './batches.ts';
import type { Dataset } from './dataset.ts';
import type { ResolvedOptions } from './options.ts';
import { epochBatches } from './sampler.ts';

/** How large micro-batches are. */
export interface BatchLimits {
  batchSize: number;
  maxDuration?: number;
}

/** The steps of an epoch, each of some micro-batches. */
export class Epoch {
  /** Of the whole training. */
  readonly totalSteps: number;
  readonly #dataset: Dataset;
  readonly #options: ResolvedOptions;
  /** Places of recordings, by step and micro-batch. */
  readonly #steps: readonly (readonly (readonly number[])[])[];

  /** @param epoch counted from 0 */
  constructor(dataset: Dataset, epoch: number, options: ResolvedOptions, limits: BatchLimits) {
    const { gradientAccumulationSteps: micro, numTrainEpochs, maxSteps, seed } = options;
    const seconds = dataset.utterances.map((each) => each.seconds);
    const batches = epochBatches(seconds, epoch, { ...limits, seed });
    this.#dataset = dataset;
    this.#options = options;
    this.#steps = Array.from({ length: Math.ceil(batches.length / micro) }, (_, i) =>
      batches.slice(i * micro, (i + 1) * micro),
    );
    this.totalSteps = maxSteps ?? Math.ceil(numTrainEpochs * this.#steps.length);
  }

  /** Steps of this epoch. */
  get length(): number {
    return this.#steps.length;
  }

  /**
   * The micro-batches of a step; nothing behind the last.
   *
   * @param microStep micro-batches since the start of training, by which what is random is drawn
   * @throws RillError `bad-audio`, and what reading recordings throws.
   */
  load(step: number, microStep: number): Promise<TrainingBatch[]> | undefined {
    const { augmentation, seed } = this.#options;
    const dataset = this.#dataset;
    if (step >= this.length) {
      return undefined;
    }
    const { numFeatures } = dataset.model.sizes.encoder;
    return Promise.all(
      this.#steps[step].map(async (members, i) => {
        const draw = { seed, microStep: microStep + i };
        const features = await Promise.all(
          members.map((n, place) => augmentedFeatures(dataset, n, place, draw, augmentation)),
        );
        const targets = members.map((n) => dataset.utterances[n].tokens);
        return batchOf(features, targets, numFeatures);
      }),
    );
  }
}
