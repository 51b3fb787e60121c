import { RillError } from '../errors.ts';
import { encoderFrames } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from '../webgpu/device/context.ts';
import * as kernels from './kernels.generated.ts';
import { byRow, type BatchSize, type Operation, type OperationMaker } from './operations.ts';

/** How the losses of a batch become one, as PyTorch's `ctc_loss` has it. */
export type Reduction = 'sum' | 'mean';

/** What the labels of a batch are. */
export interface CtcBatch {
  /** Feature frames of each utterance. */
  lens: readonly number[];
  /** Token ids of each, without blanks. */
  targets: readonly (readonly number[])[];
}

export interface CtcOptions {
  reduction: Reduction;
  /** Utterances of all micro-batches of a step, which `mean` is over; those of the batch by default. */
  utterancesInStep?: number;
  /**
   * An utterance whose labels do not fit into its frames counts 0 and has no gradient; true by default. Otherwise its loss
   * is infinite, and its gradient is not a number, nor is anything that it is added to.
   */
  zeroInfinity?: boolean;
}

/** Words of an utterance in the lattice's table, as ctc_lattice.wgsl has them. */
const UTTERANCE_WORDS = 4;

/** Encoder frames that labels need at least: one each, and a blank between two that are equal. */
export const framesNeeded = (labels: readonly number[]) =>
  labels.length + labels.filter((label, i) => i > 0 && label === labels[i - 1]).length;

/** CTC over the log-probabilities of a batch, and its gradient with respect to logits. */
export class CtcLoss {
  readonly #context: GpuContext;
  readonly #scope: BufferScope;
  readonly #capacity: BatchSize & { states: number };
  readonly #labels: GPUBuffer;
  readonly #utterances: GPUBuffer;
  readonly #lattice: GPUBuffer;
  /** (utterances) */
  readonly losses: GPUBuffer;
  #operations: readonly Operation[] = [];
  #weights: readonly number[] = [];
  #infeasible: readonly boolean[] = [];
  #zeroInfinity = true;

  private constructor(context: GpuContext, capacity: BatchSize & { states: number }) {
    this.#context = context;
    this.#capacity = capacity;
    const scope = (this.#scope = new BufferScope(context));
    const { utterances, states } = capacity;
    this.#labels = scope.createStorage('activations', 'labels', 4 * utterances * states);
    this.#utterances = scope.createStorage('activations', 'utterances', 4 * utterances * UTTERANCE_WORDS);
    this.losses = scope.createStorage('activations', 'losses', 4 * utterances);
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.#lattice = scope.createBuffer('activations', 'lattice', 16, usage);
  }

  /** @param capacity `states` is 2 U + 1 of the longest target. */
  static async create(
    context: GpuContext,
    maker: OperationMaker,
    capacity: BatchSize & { states: number },
    vocabSize: number,
    { logits, dLogits, step }: { logits: GPUBuffer; dLogits: GPUBuffer; step: GPUBuffer },
  ): Promise<CtcLoss> {
    const loss = new CtcLoss(context, capacity);
    const { utterances, frames, states } = capacity;
    const bytes = 4 * utterances * frames * states;
    const alpha = loss.#scope.createStorage('activations', 'ctc alpha', bytes);
    const beta = loss.#scope.createStorage('activations', 'ctc beta', bytes);
    const lattice = { labels: loss.#labels, utterances: loss.#utterances, lattice: loss.#lattice, step };
    const width = { width: vocabSize };
    const byUtterance = (size: BatchSize) => [size.utterances, 1, 1] as const;
    loss.#operations = await Promise.all([
      maker.make(kernels.logSoftmax, width, { x: logits, step }, byRow),
      maker.make(kernels.ctcAlpha, width, { ...lattice, log_probs: logits, alpha, losses: loss.losses }, byUtterance),
      maker.make(kernels.ctcBeta, width, { ...lattice, log_probs: logits, beta }, byUtterance),
      maker.make(kernels.ctcGradient, width, { ...lattice, log_probs: logits, alpha, beta, dlogits: dLogits }, byRow),
    ]);
    return loss;
  }

  /**
   * Uploads the labels of a batch.
   *
   * @throws RillError `bad-argument` for more labels than there is room for.
   */
  upload({ lens, targets }: CtcBatch, { reduction, utterancesInStep = lens.length, zeroInfinity = true }: CtcOptions) {
    const states = Math.max(...targets.map(({ length }) => 2 * length + 1));
    if (states > this.#capacity.states) {
      throw new RillError('bad-argument', {
        got: `a target of ${(states - 1) / 2} tokens`,
        expected: `at most ${(this.#capacity.states - 1) / 2}`,
        remedy: 'Make the trainer for longer targets, or cut the utterance.',
      });
    }
    const labels = new Uint32Array(lens.length * states);
    const utterances = new DataView(new ArrayBuffer(4 * UTTERANCE_WORDS * lens.length));
    const ofInfeasible = zeroInfinity ? 0 : NaN;
    this.#zeroInfinity = zeroInfinity;
    this.#infeasible = targets.map((target, n) => framesNeeded(target) > encoderFrames(lens[n]));
    this.#weights = targets.map(({ length }) =>
      reduction === 'mean' ? 1 / (utterancesInStep * Math.max(length, 1)) : 1,
    );
    targets.forEach((target, n) => {
      target.forEach((token, u) => {
        labels[n * states + 2 * u + 1] = token;
      });
      const at = 4 * UTTERANCE_WORDS * n;
      utterances.setUint32(at, encoderFrames(lens[n]), true);
      utterances.setUint32(at + 4, 2 * target.length + 1, true);
      utterances.setFloat32(at + 8, this.#infeasible[n] ? ofInfeasible : this.#weights[n], true);
      utterances.setUint32(at + 12, this.#infeasible[n] ? 0 : 1, true);
    });
    const { queue } = this.#context.device;
    queue.writeBuffer(this.#labels, 0, labels);
    queue.writeBuffer(this.#utterances, 0, utterances.buffer);
    queue.writeBuffer(this.#lattice, 0, Uint32Array.of(states));
  }

  run(pass: GPUComputePassEncoder, size: BatchSize): void {
    this.#operations.forEach((each) => {
      each.run(pass, size);
    });
  }

  /** The losses of the batch that was uploaded last, and what its reduction makes of them. @param read from the GPU */
  reduced(read: Float32Array): { losses: number[]; loss: number } {
    const losses = Array.from(read, (loss, n) => (this.#infeasible[n] ? (this.#zeroInfinity ? 0 : Infinity) : loss));
    return { losses, loss: losses.reduce((sum, loss, n) => sum + loss * this.#weights[n], 0) };
  }

  /** Frees its memory. */
  dispose(): void {
    this.#scope.dispose();
  }
}
