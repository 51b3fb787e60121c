import type { TensorSource } from '../../model/tensors.ts';
import { loadKernels } from '../../wasm/kernels.ts';
import { Heap } from '../../wasm/memory.ts';
import { Turns } from '../../wasm/turns.ts';
import type { HiddenBatch } from '../batch.ts';
import { Adam } from '../cpu/adam.ts';
import { CpuNetwork } from '../cpu/network.ts';
import { LOSS, relativeRate, type Learner, type LearnerTask } from './learning.ts';

/** Trains on the CPU, in the calling thread, with a pause for its other work after each batch. */
export class CpuLearner implements Learner {
  readonly #network: CpuNetwork;
  readonly #optimizer: Adam;
  readonly #turns = new Turns();

  private constructor(network: CpuNetwork) {
    this.#network = network;
    this.#optimizer = new Adam(network.parameters, { relativeRate });
  }

  /** @throws RillError `bad-model` without a CTC head; `no-wasm`, `no-memory`. */
  static async create({ model, from, capacity }: LearnerTask): Promise<CpuLearner> {
    const heap = new Heap();
    return new CpuLearner(await CpuNetwork.create(await loadKernels(heap.memory), heap, model, from, capacity));
  }

  async step(batches: readonly HiddenBatch[], learningRate: number): Promise<number> {
    let sum = 0;
    this.#network.clearGradients();
    for (const batch of batches) {
      sum += await this.#turns.take(() => this.#network.run(batch, LOSS).loss);
    }
    await this.#turns.take(() => {
      this.#optimizer.step(learningRate);
      this.#network.prepare();
    });
    return sum;
  }

  into(weights: TensorSource): Promise<TensorSource> {
    return Promise.resolve(this.#network.parameters.into(weights));
  }

  saveOptimizer(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  dispose(): void {
    // Its memory goes with the last reference to it.
  }
}
