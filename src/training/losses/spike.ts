import { BufferScope, type GpuContext } from '../../webgpu/device/context.ts';
import * as kernels from '../kernels.generated.ts';
import { byRow, byUtterance, runAll, type BatchSize, type Capacity, type Operation } from '../operations.ts';
import type { LogitLossParts, Utterance } from './loss.ts';
import { isSpike, windowOf } from './targets.ts';

/** Words of an utterance in the table, as spike_targets.wgsl has them. */
const SPIKE_WORDS = 6;

/** The spike loss over the log-probabilities of a batch, and its gradient with respect to logits. */
export class SpikeLoss {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #spikes: GPUBuffer;
  #operations: readonly Operation[] = [];
  #isNeeded = false;

  private constructor(context: GpuContext, { utterances }: Capacity) {
    this.#context = context;
    this.#scope = new BufferScope(context);
    this.#spikes = this.#scope.createStorage('activations', 'spikes', 4 * utterances * SPIKE_WORDS);
  }

  static async create(parts: LogitLossParts): Promise<SpikeLoss> {
    const { context, maker, capacity, vocabSize, step, logProbs, dLogits, losses } = parts;
    const loss = new SpikeLoss(context, capacity);
    const windows = loss.#scope.createStorage('activations', 'sums over windows', 4 * capacity.utterances);
    const given = { log_probs: logProbs, spikes: loss.#spikes, windows, step };
    const width = { width: vocabSize };
    loss.#operations = await Promise.all([
      maker.make(kernels.spikeLoss, width, { ...given, losses }, byUtterance),
      maker.make(kernels.spikeGradient, width, { ...given, dlogits: dLogits }, byRow),
    ]);
    return loss;
  }

  /** Uploads the tokens and windows of those that have them; it leaves others alone. */
  upload(utterances: readonly Utterance[]): void {
    const table = new DataView(new ArrayBuffer(4 * SPIKE_WORDS * utterances.length));
    utterances.forEach(({ target, frames, gradientWeight, isFeasible }, n) => {
      if (isSpike(target)) {
        const at = 4 * SPIKE_WORDS * n;
        const [first, end] = isFeasible ? windowOf(target, frames) : [0, 0];
        [frames, target.token, first, end].forEach((word, k) => {
          table.setUint32(at + 4 * k, word, true);
        });
        table.setFloat32(at + 16, gradientWeight, true);
        table.setUint32(at + 20, 1, true);
      }
    });
    this.#isNeeded = utterances.some(({ target }) => isSpike(target));
    this.#context.device.queue.writeBuffer(this.#spikes, 0, table.buffer);
  }

  run(pass: GPUComputePassEncoder, size: BatchSize): void {
    if (this.#isNeeded) {
      runAll(this.#operations, pass, size);
    }
  }

  /** Frees its memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}
