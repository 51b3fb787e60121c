import type { Draws } from '../../src/training/draws.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { longestFrames } from '../../src/training/activations.ts';
import type { Reduction } from '../../src/training/losses/targets.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import type { OptimizerName } from '../../src/training/optimizer-options.ts';
import type { Precision } from '../../src/training/precision.ts';
import { takeStep } from '../../src/training/step.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import type { JobContext } from './jobs.ts';

/** A batch with its labels, and what is done with it. */
export interface GradientsInput {
  model: ModelFiles;
  /** (utterances, feature frames, num_features), padded. */
  features: Float32Array<ArrayBuffer>;
  lens: number[];
  targets: number[][];
  reduction: Reduction;
  /** Probability of dropout, of which `draws` has the masks. */
  dropout: number;
  auxLayers: number[];
  draws?: Draws;
  /** Prefixes of what is trained; all by default. */
  trainable?: string[];
  /** How layers keep what the way back reads; f32 by default. */
  precision?: Precision;
  /** Steps of an optimizer over the same batch; without them gradients alone. */
  steps?: { count: number; optimizer: OptimizerName; learningRate: number; weightDecay?: number };
}

export interface GradientsOutput {
  /** Losses of the utterances; of steps the reduced loss of each. */
  losses: number[];
  loss: number;
  /** Norms of all gradients, of each step. */
  norms: number[];
  /** Gradients by name; of steps the tensors after the last. */
  tensors: { name: string; values: Float32Array<ArrayBuffer> }[];
}

const listed = (tensors: ReadonlyMap<string, Float32Array<ArrayBuffer>>) =>
  Array.from(tensors, ([name, values]) => ({ name, values }));

/** Gradients of a batch's CTC loss, or the steps that an optimizer takes by them. */
export async function gradients({ engine, emit }: JobContext, input: GradientsInput): Promise<GradientsOutput> {
  const { features, lens, targets, reduction, dropout, auxLayers, draws, trainable, precision, steps } = input;
  const gpu = gpuOf(engine);
  const capacity = {
    utterances: lens.length,
    frames: longestFrames(lens),
    labels: Math.max(...targets.map(({ length }) => length)),
  };
  const network = await TrainingNetwork.create(gpu, openModel(input.model), capacity, {
    ...{ dropout, auxLayers, trainable, precision },
  });
  try {
    const batch = { features, lens, targets, draws };
    if (!steps) {
      const { losses, loss } = await network.run(batch, { reduction });
      return { losses, loss, norms: [], tensors: listed(await network.parameters.gradients()) };
    }
    const { optimizer, weightDecay, learningRate, count } = steps;
    const optimizing = await Optimizer.create(gpu, network.parameters, { optimizer, weightDecay });
    const losses: number[] = [];
    const norms: number[] = [];
    const training = { context: gpu, network, optimizer: optimizing };
    for (let step = 0; step < count; step++) {
      const taken = await takeStep(training, [batch], { reduction }, learningRate);
      losses.push(taken.losses[0].loss);
      norms.push(taken.state.gradNorm);
      emit({ type: 'progress', done: step + 1, total: count });
    }
    optimizing.dispose();
    return { losses, loss: losses[count - 1], norms, tensors: listed(await network.parameters.values()) };
  } finally {
    network.dispose();
  }
}
