import type { Engine } from '../../encoder/engine.ts';
import { wasLost } from '../../encoder/lost.ts';
import type { Model } from '../../model/model.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import { longestFrames } from '../activations.ts';
import { gpuOf } from '../../gpu-of.ts';
import { CTC_HEAD, layerPrefix } from '../layout.ts';
import { isSpike } from '../losses/targets.ts';
import { TrainingNetwork } from '../network.ts';
import { Optimizer } from '../optimizer.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { linearFactor } from '../schedules.ts';
import { takeStep, type Training } from '../step.ts';
import { LARGEST_BATCH, drawBatches } from './batches.ts';
import { forwardEngine } from './forward-engine.ts';
import type { Materials } from './materials.ts';
import type { TeachOptions } from './options.ts';
import type { SpellingModel } from './phrase-token.ts';
import { PoolMaker } from './pool.ts';
import {
  HEAD_RATE,
  KEEP_STEPS,
  LEARNING_RATE,
  LOSS_DIVISOR,
  TRAINED_LAYERS,
  WARMUP_STEPS,
  type PoolCounts,
} from './recipe.ts';

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
  /** Absent before the first step. */
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
    const context = gpuOf(engine);
    await this.#pool.make(await forwardEngine(engine), this.#from, () => {
      signal?.throwIfAborted();
      onProgress?.({ stage: 'prepare', done: this.#pool.done, total: this.#pool.total });
    });
    const network = await this.#createNetwork(context);
    try {
      await this.#train(context, network);
    } finally {
      network.dispose();
    }
  }

  #createNetwork(context: GpuContext): Promise<TrainingNetwork> {
    const { model } = this.#kept;
    const entries = Object.values(this.#pool.pool).flat();
    const layers = Array.from({ length: model.sizes.encoder.numEncoderLayers }, (_, layer) => layer);
    const capacity = {
      utterances: LARGEST_BATCH,
      frames: longestFrames(entries.map(({ frames }) => frames)),
      labels: Math.max(1, ...entries.map(({ target }) => (isSpike(target) ? 1 : target.length))),
    };
    const trained = layers.slice(this.#from).map((layer) => `${layerPrefix(layer)}.`);
    return TrainingNetwork.create(context, model, capacity, {
      ...{ from: this.#from, trainable: [...trained, `${CTC_HEAD}.`] },
    });
  }

  async #train(context: GpuContext, network: TrainingNetwork): Promise<void> {
    const optimizer = await Optimizer.create(context, network.parameters, {
      relativeRate: (name) => (name.startsWith(CTC_HEAD) ? HEAD_RATE : 1),
    });
    const training = { context, network, optimizer };
    try {
      if (this.#kept.optimizer) {
        await optimizer.load(this.#kept.optimizer);
      }
      for (let step = this.#kept.steps; step < this.#options.steps; step++) {
        await this.#step(training, step);
        const taken = step + 1;
        if (taken % KEEP_STEPS === 0 || taken === this.#options.steps) {
          await this.#keep(training, taken);
        }
      }
    } finally {
      optimizer.dispose();
    }
  }

  async #step(training: Training, step: number): Promise<void> {
    const { seed, steps, onProgress, signal } = this.#options;
    signal?.throwIfAborted();
    const rate = LEARNING_RATE * linearFactor(step, { warmupSteps: WARMUP_STEPS, totalSteps: steps });
    const batches = drawBatches(this.#pool.pool, seed, step);
    const { losses } = await takeStep(training, batches, { reduction: 'sum', scale: 1 / LOSS_DIVISOR }, rate);
    const loss = losses.reduce((sum, each) => sum + each.loss, 0);
    onProgress?.({ stage: 'train', done: step + 1, total: steps, loss });
  }

  async #keep({ network, optimizer }: Training, steps: number): Promise<void> {
    this.#kept = {
      steps,
      model: { ...this.#model, weights: await network.parameters.into(this.#model.weights) },
      optimizer: await optimizer.save(),
    };
  }
}
