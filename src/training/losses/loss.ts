import { RillError } from '../../errors.ts';
import { encoderFrames, type ModelSizes } from '../../model/sizes.ts';
import type { GpuContext } from '../../webgpu/device/context.ts';
import type { BatchSize, Capacity, OperationMaker } from '../operations.ts';
import type { Parameters } from '../parameters.ts';
import { isSpike, type Reduction, type Target, type TargetBatch } from './targets.ts';

export interface LossOptions {
  reduction: Reduction;
  /** Utterances of all micro-batches of a step, which `mean` is over; those of the batch by default. */
  utterancesInStep?: number;
  /** What the reduced loss is multiplied by; 1 by default. */
  scale?: number;
  /**
   * An utterance whose target does not fit into its frames counts 0 and has no gradient; true by default. Otherwise its loss
   * is infinite, and its gradient is not a number, nor is anything that it is added to.
   */
  zeroInfinity?: boolean;
}

/** What a batch's loss is. */
export interface BatchLoss {
  /** Of each utterance, neither weighed nor scaled. */
  losses: number[];
  /** Their reduction. */
  loss: number;
}

/** A head with its loss: from the encoder's output to losses, and back to the gradients of its parameters and of that output. */
export interface Loss {
  /** (utterances) */
  readonly losses: GPUBuffer;
  /** What searches read, (rows, width padded): log-probabilities, or what a transducer's joiner takes in. */
  readonly output: { buffer: GPUBuffer; width: number };
  /**
   * Uploads what a batch should say.
   *
   * @throws RillError `bad-argument` for a target that the loss does not know, or that there is no room for.
   */
  upload: (batch: TargetBatch, options: LossOptions) => readonly Utterance[];
  run: (pass: GPUComputePassEncoder, size: BatchSize) => void;
  /** Frees its memory. */
  dispose: () => void;
}

/** What a loss is made of. */
export interface LossParts {
  context: GpuContext;
  maker: OperationMaker;
  sizes: ModelSizes;
  capacity: Capacity;
  parameters: Parameters;
  /** How large a batch is. */
  step: GPUBuffer;
  /** Probability of dropout. */
  dropout: number;
  /** (rows, d) the encoder's output, and its gradient, which a loss writes. */
  encoderOut: GPUBuffer;
  dEncoderOut: GPUBuffer;
}

/** What losses over the CTC head's output are made of; each writes the rows of its own utterances. */
export interface LogitLossParts {
  context: GpuContext;
  maker: OperationMaker;
  capacity: Capacity;
  vocabSize: number;
  step: GPUBuffer;
  /** (rows, vocabulary) */
  logProbs: GPUBuffer;
  /** (rows, vocabulary) */
  dLogits: GPUBuffer;
  /** (utterances) */
  losses: GPUBuffer;
}

/** One of a batch, as losses see it. */
export interface Utterance<Own extends Target = Target> {
  target: Own;
  /** Encoder frames. */
  frames: number;
  /** Of its loss in the batch's. */
  weight: number;
  /** Whether it can be said in so many frames. */
  isFeasible: boolean;
  /** Of its gradient: the weight, or, where it is not feasible, 0 or what is not a number. */
  gradientWeight: number;
}

/** @param fits whether a target can be said in so many encoder frames */
export function utterancesOf<Own extends Target>(
  { lens, targets, weights }: TargetBatch<Own>,
  { reduction, utterancesInStep = lens.length, scale = 1, zeroInfinity = true }: LossOptions,
  fits: (target: Own, frames: number) => boolean,
): Utterance<Own>[] {
  return targets.map((target, n) => {
    const frames = encoderFrames(lens[n]);
    const tokens = isSpike(target) ? 1 : Math.max(target.length, 1);
    const share = reduction === 'mean' ? 1 / (utterancesInStep * tokens) : 1;
    const weight = scale * share * (weights?.[n] ?? 1);
    const isFeasible = fits(target, frames);
    const gradientWeight = isFeasible ? weight : zeroInfinity ? 0 : NaN;
    return { target, frames, weight, isFeasible, gradientWeight };
  });
}

/** Tokens of the longest target. @throws RillError `bad-argument` for more than there is room for. */
export function longestTarget(targets: readonly (readonly number[])[], { labels }: Capacity): number {
  const longest = Math.max(...targets.map(({ length }) => length));
  if (longest > labels) {
    throw new RillError('bad-argument', {
      got: `a target of ${longest} tokens`,
      expected: `at most ${labels}`,
      remedy: 'Make the trainer for longer targets, or cut the utterance.',
    });
  }
  return longest;
}

/** The loss of a batch. @param read losses from the GPU */
export function reduced(
  read: Float32Array,
  utterances: readonly Utterance[],
  { zeroInfinity = true }: LossOptions,
): BatchLoss {
  const infeasible = zeroInfinity ? 0 : Infinity;
  const losses = utterances.map(({ isFeasible }, n) => (isFeasible ? read[n] : infeasible));
  return { losses, loss: losses.reduce((sum, loss, n) => sum + loss * utterances[n].weight, 0) };
}
