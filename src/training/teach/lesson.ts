import { AutoEngine } from '../../auto-engine.ts';
import type { Engine } from '../../encoder/engine.ts';
import { RillError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { hasWasm } from '../../wasm/kernels.ts';
import { isSoftware, type GpuContext } from '../../webgpu/device/context.ts';
import { WebGpuEngine } from '../../webgpu/engine.ts';
import { longestFrames } from '../activations.ts';
import { CTC_HEAD, layerPrefix } from '../layout.ts';
import { isSpike } from '../losses/loss.ts';
import { TrainingNetwork } from '../network.ts';
import { Optimizer } from '../optimizer.ts';
import { linearFactor } from '../schedules.ts';
import { LARGEST_BATCH, drawBatches } from './batches.ts';
import type { Materials } from './materials.ts';
import type { TeachOptions } from './options.ts';
import { withTensors, type SpellingModel } from './phrase-token.ts';
import { PoolMaker, type Pool } from './pool.ts';
import { HEAD_RATE, LEARNING_RATE, LOSS_DIVISOR, TRAINED_LAYERS, WARMUP_STEPS } from './recipe.ts';

/** How a lesson goes. */
type LessonOptions = Pick<TeachOptions, 'onProgress' | 'signal'> &
  Required<Pick<TeachOptions, 'seed' | 'steps' | 'openEngine'>>;

/** The GPU of an engine. @throws RillError `bad-argument` for one that has none. */
function contextOf(engine: Engine): GpuContext {
  const taken = engine instanceof AutoEngine ? engine.chosen : engine;
  if (!(taken instanceof WebGpuEngine)) {
    throw new RillError('bad-argument', {
      got: engine.device.name,
      expected: 'an engine on WebGPU, which alone can train',
      remedy: 'Open the engine for the device webgpu.',
    });
  }
  return taken.context;
}

/** What layers that are not trained run on: the CPU where it plays the GPU. */
async function fasterOf(engine: Engine, { adapter, adapterName }: GpuContext): Promise<Engine> {
  const isPlayed = adapter.isFallbackAdapter || isSoftware(adapterName);
  return isPlayed && (await hasWasm()) ? new WasmEngine('faster than a software adapter') : engine;
}

/** The training of one phrase: a pool that is made once, then steps over batches of it. */
export class Lesson {
  readonly #model: SpellingModel;
  readonly #options: LessonOptions;
  readonly #pool: PoolMaker;
  /** The first layer that is trained. */
  readonly #from: number;

  /** @param model its last token is the phrase's */
  constructor(model: SpellingModel, materials: Materials, options: LessonOptions) {
    this.#model = model;
    this.#options = options;
    this.#from = Math.max(1, model.sizes.encoder.numEncoderLayers - TRAINED_LAYERS);
    this.#pool = new PoolMaker(model, materials, { seed: options.seed, token: model.tokens.size - 1 });
  }

  /** @returns the model as it is at the end */
  async learn(): Promise<Model> {
    const { openEngine, onProgress, signal } = this.#options;
    const engine = await openEngine();
    try {
      const context = contextOf(engine);
      await this.#pool.make(await fasterOf(engine, context), this.#from, () => {
        signal?.throwIfAborted();
        onProgress?.({ stage: 'prepare', done: this.#pool.done, total: this.#pool.total });
      });
      return await this.#train(context, this.#pool.pool);
    } finally {
      engine.dispose();
    }
  }

  async #train(context: GpuContext, pool: Pool): Promise<Model> {
    const entries = Object.values(pool).flat();
    const { numEncoderLayers: layers } = this.#model.sizes.encoder;
    const trained = Array.from({ length: layers - this.#from }, (_, i) => `${layerPrefix(this.#from + i)}.`);
    const capacity = {
      utterances: LARGEST_BATCH,
      frames: longestFrames(entries.map(({ frames }) => frames)),
      labels: Math.max(1, ...entries.map(({ target }) => (isSpike(target) ? 1 : target.length))),
    };
    const network = await TrainingNetwork.create(context, this.#model, capacity, {
      ...{ from: this.#from, trainable: [...trained, `${CTC_HEAD}.`] },
    });
    try {
      const optimizer = await Optimizer.create(context, network.parameters, {
        relativeRate: (name) => (name.startsWith(CTC_HEAD) ? HEAD_RATE : 1),
      });
      try {
        for (let step = 0; step < this.#options.steps; step++) {
          await this.#step(network, optimizer, pool, step);
        }
        return await this.#taught(network);
      } finally {
        optimizer.dispose();
      }
    } finally {
      network.dispose();
    }
  }

  async #step(network: TrainingNetwork, optimizer: Optimizer, pool: Pool, step: number): Promise<void> {
    const { seed, steps, onProgress, signal } = this.#options;
    signal?.throwIfAborted();
    const factor = linearFactor(step, { warmupSteps: WARMUP_STEPS, totalSteps: steps });
    const batches = drawBatches(pool, seed, step, this.#model.sizes.encoder);
    let loss = 0;
    for (const [i, batch] of batches.entries()) {
      const isLast = i === batches.length - 1;
      network.submit(
        batch,
        { reduction: 'sum', scale: 1 / LOSS_DIVISOR },
        {
          isFirst: i === 0,
          then: (encoder) => {
            if (isLast) {
              optimizer.step(encoder, factor * LEARNING_RATE);
            }
          },
        },
      );
      loss += (await network.losses()).loss;
    }
    onProgress?.({ stage: 'train', done: step + 1, total: steps, loss });
  }

  async #taught(network: TrainingNetwork): Promise<Model> {
    const values = await network.parameters.values();
    const changed = new Map(
      network.parameters.trained.map(({ name, shape }) => [
        name,
        { shape, values: values.get(name) ?? new Float32Array(0) },
      ]),
    );
    return { ...this.#model, weights: withTensors(this.#model.weights, changed) };
  }
}
