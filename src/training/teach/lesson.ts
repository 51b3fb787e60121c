import type { Engine } from '../../encoder/engine.ts';
import { wasLost } from '../../encoder/lost.ts';
import type { Model } from '../../model/model.ts';
import { longestFrames } from '../activations.ts';
import { isSpike } from '../losses/targets.ts';
import type { Capacity } from '../operations.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { linearFactor } from '../schedules.ts';
import { LARGEST_BATCH, drawBatches } from './batches.ts';
import { forwardEngine } from './forward-engine.ts';
import { createLearner } from './learner.ts';
import type { Learner } from './learning.ts';
import type { Materials } from './materials.ts';
import type { TeachOptions } from './options.ts';
import type { SpellingModel } from './phrase-token.ts';
import { PoolMaker } from './pool.ts';
import { KEEP_STEPS, LEARNING_RATE, TRAINED_LAYERS, WARMUP_STEPS, type PoolCounts } from './recipe.ts';

/** How a lesson goes. */
type LessonOptions = Pick<TeachOptions, 'engine' | 'onProgress' | 'signal'> &
  Required<Pick<TeachOptions, 'seed' | 'steps' | 'openEngine'>> & { counts: PoolCounts };

/** Devices that may be lost in one lesson; browsers take WebGPU away from pages that lose more. */
const MOST_LOSSES = 3;

/** Where training stands: what another device goes on from. */
interface Kept {
  /** Steps that were taken. */
  steps: number;
  model: Model;
  /** Absent before the first step, and where no device can be lost. */
  optimizer?: SavedOptimizer;
}

/** The training of one phrase: a pool that is made once, then steps over batches of it. */
export class Lesson {
  /** As it is at the start. */
  readonly #model: SpellingModel;
  readonly #options: LessonOptions;
  readonly #pool: PoolMaker;
  /** The first layer that is trained. */
  readonly #from: number;
  #kept: Kept;

  /** @param model its last token is the phrase's */
  constructor(model: SpellingModel, materials: Materials, options: LessonOptions) {
    const { seed, counts } = options;
    this.#model = model;
    this.#options = options;
    this.#from = Math.max(1, model.sizes.encoder.numEncoderLayers - TRAINED_LAYERS);
    this.#pool = new PoolMaker(model, materials, { seed, counts, token: model.tokens.size - 1 });
    this.#kept = { steps: 0, model };
  }

  /** @returns the model as it is at the end */
  async learn(): Promise<Model> {
    const { engine: given, openEngine, onProgress, signal, steps } = this.#options;
    if (given) {
      await this.#learnOn(given);
      return this.#kept.model;
    }
    for (let losses = 0; this.#kept.steps < steps; losses++) {
      const engine = await openEngine();
      try {
        await this.#learnOn(engine);
      } catch (error) {
        if (signal?.aborted || losses === MOST_LOSSES || !(await wasLost(engine))) {
          throw error;
        }
        onProgress?.({ stage: 'resume', done: this.#kept.steps, total: steps });
      } finally {
        engine.dispose();
      }
    }
    return this.#kept.model;
  }

  async #learnOn(engine: Engine): Promise<void> {
    const { onProgress, signal } = this.#options;
    await this.#pool.make(await forwardEngine(engine), this.#from, () => {
      signal?.throwIfAborted();
      onProgress?.({ stage: 'prepare', done: this.#pool.done, total: this.#pool.total });
    });
    const { model, optimizer } = this.#kept;
    const learner = await createLearner(engine, { model, from: this.#from, capacity: this.#capacity, optimizer });
    try {
      await this.#train(learner);
    } finally {
      learner.dispose();
    }
  }

  /** The largest batch. */
  get #capacity(): Capacity {
    const entries = Object.values(this.#pool.pool).flat();
    return {
      utterances: LARGEST_BATCH,
      frames: longestFrames(entries.map(({ frames }) => frames)),
      labels: Math.max(1, ...entries.map(({ target }) => (isSpike(target) ? 1 : target.length))),
    };
  }

  async #train(learner: Learner): Promise<void> {
    const { seed, steps, onProgress, signal } = this.#options;
    for (let step = this.#kept.steps; step < steps; step++) {
      signal?.throwIfAborted();
      const rate = LEARNING_RATE * linearFactor(step, { warmupSteps: WARMUP_STEPS, totalSteps: steps });
      const loss = await learner.step(drawBatches(this.#pool.pool, seed, step), rate);
      const taken = step + 1;
      onProgress?.({ stage: 'train', done: taken, total: steps, loss });
      if (taken % KEEP_STEPS === 0 || taken === steps) {
        await this.#keep(learner, taken);
      }
    }
  }

  async #keep(learner: Learner, steps: number): Promise<void> {
    this.#kept = {
      steps,
      model: { ...this.#model, weights: await learner.into(this.#model.weights) },
      optimizer: await learner.saveOptimizer(),
    };
  }
}
