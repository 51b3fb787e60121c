import type { TensorSource } from '../../model/tensors.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import type { HiddenBatch } from '../batch.ts';
import { CTC_HEAD, layerPrefix } from '../layout.ts';
import { TrainingNetwork } from '../network.ts';
import { Optimizer } from '../optimizer.ts';
import type { SavedOptimizer } from '../saved-optimizer.ts';
import { takeStep } from '../step.ts';
import { LOSS, relativeRate, type Learner, type LearnerTask } from './learning.ts';

/** Trains on a GPU. */
export class GpuLearner implements Learner {
  readonly #context: GpuContext;
  readonly #network: TrainingNetwork;
  readonly #optimizer: Optimizer;

  private constructor(context: GpuContext, network: TrainingNetwork, optimizer: Optimizer) {
    this.#context = context;
    this.#network = network;
    this.#optimizer = optimizer;
  }

  /** @throws RillError `bad-model` without a CTC head; `device-lost`, `gpu`, `shader`. */
  static async create(context: GpuContext, { model, from, capacity, optimizer: saved }: LearnerTask) {
    const layers = Array.from({ length: model.sizes.encoder.numEncoderLayers }, (_, layer) => layer);
    const trained = layers.slice(from).map((layer) => `${layerPrefix(layer)}.`);
    const trainable = [...trained, `${CTC_HEAD}.`];
    const network = await TrainingNetwork.create(context, model, capacity, { from, trainable });
    try {
      const optimizer = await Optimizer.create(context, network.parameters, { relativeRate });
      if (saved) {
        await optimizer.load(saved);
      }
      return new GpuLearner(context, network, optimizer);
    } catch (error) {
      network.dispose();
      throw error;
    }
  }

  async step(batches: readonly HiddenBatch[], learningRate: number): Promise<number> {
    const training = { context: this.#context, network: this.#network, optimizer: this.#optimizer };
    const { losses } = await takeStep(training, batches, LOSS, learningRate);
    return losses.reduce((sum, { loss }) => sum + loss, 0);
  }

  into(weights: TensorSource): Promise<TensorSource> {
    return this.#network.parameters.into(weights);
  }

  saveOptimizer(): Promise<SavedOptimizer> {
    return this.#optimizer.save();
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#network.dispose();
  }
}
