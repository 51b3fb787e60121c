import { BufferScope, type GpuContext } from '../../webgpu/device/context.ts';
import * as kernels from '../kernels.generated.ts';
import { byRow, byUtterance, rowsOf, runAll, type BatchSize, type Capacity, type Operation } from '../operations.ts';
import { longestTarget, type LogitLossParts, type Utterance } from './loss.ts';
import { isSpike } from './targets.ts';

/** Words of an utterance in the lattice's table, as ctc_lattice.wgsl has them. */
const UTTERANCE_WORDS = 4;

/** Labels with blanks between and around them. */
const statesOf = (labels: number) => 2 * labels + 1;

/** CTC over the log-probabilities of a batch, and its gradient with respect to logits. */
export class CtcLoss {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #capacity: Capacity;
  readonly #labels: GPUBuffer;
  readonly #utterances: GPUBuffer;
  readonly #lattice: GPUBuffer;
  #operations: readonly Operation[] = [];
  #isNeeded = false;

  private constructor(context: GpuContext, capacity: Capacity) {
    this.#context = context;
    this.#capacity = capacity;
    const scope = (this.#scope = new BufferScope(context));
    const { utterances, labels } = capacity;
    this.#labels = scope.createStorage('activations', 'labels', 4 * utterances * statesOf(labels));
    this.#utterances = scope.createStorage('activations', 'utterances', 4 * utterances * UTTERANCE_WORDS);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.#lattice = scope.createBuffer('activations', 'lattice', 16, usage);
  }

  static async create(parts: LogitLossParts): Promise<CtcLoss> {
    const { context, maker, capacity, vocabSize, step, logProbs, dLogits, losses } = parts;
    const loss = new CtcLoss(context, capacity);
    const bytes = 4 * rowsOf(capacity) * statesOf(capacity.labels);
    const alpha = loss.#scope.createStorage('activations', 'ctc alpha', bytes);
    const beta = loss.#scope.createStorage('activations', 'ctc beta', bytes);
    const [labels, utterances, lattice] = [loss.#labels, loss.#utterances, loss.#lattice];
    const given = { log_probs: logProbs, labels, utterances, lattice, step };
    const width = { width: vocabSize };
    loss.#operations = await Promise.all([
      maker.make(kernels.ctcAlpha, width, { ...given, alpha, losses }, byUtterance),
      maker.make(kernels.ctcBeta, width, { ...given, beta }, byUtterance),
      maker.make(kernels.ctcGradient, width, { ...given, alpha, beta, dlogits: dLogits }, byRow),
    ]);
    return loss;
  }

  /**
   * Uploads the labels of those that have some; of others it leaves zeros.
   *
   * @throws RillError `bad-argument` for more labels than there is room for.
   */
  upload(utterances: readonly Utterance[]): void {
    const labels = utterances.map(({ target }) => (isSpike(target) ? [] : target));
    const states = statesOf(longestTarget(labels, this.#capacity));
    const words = new Uint32Array(utterances.length * states);
    const table = new DataView(new ArrayBuffer(4 * UTTERANCE_WORDS * utterances.length));
    utterances.forEach(({ target, frames, gradientWeight, isFeasible }, n) => {
      labels[n].forEach((token, u) => {
        words[n * states + 2 * u + 1] = token;
      });
      const at = 4 * UTTERANCE_WORDS * n;
      table.setUint32(at, frames, true);
      table.setUint32(at + 4, statesOf(labels[n].length), true);
      table.setFloat32(at + 8, isSpike(target) ? 0 : gradientWeight, true);
      table.setUint32(at + 12, isFeasible && !isSpike(target) ? 1 : 0, true);
    });
    this.#isNeeded = utterances.some(({ target }) => !isSpike(target));
    const { queue } = this.#context.device;
    queue.writeBuffer(this.#labels, 0, words);
    queue.writeBuffer(this.#utterances, 0, table.buffer);
    queue.writeBuffer(this.#lattice, 0, Uint32Array.of(states));
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
