import type { GpuContext } from '../webgpu/device/context.ts';
import { readBoth } from '../webgpu/device/readback.ts';
import type { TrainingBatch } from './batch.ts';
import type { BatchLoss, LossOptions } from './losses/loss.ts';
import type { TrainingNetwork } from './network.ts';
import type { Optimizer, StepState } from './optimizer.ts';

/** A network with its optimizer, on a device. */
export interface Training {
  context: GpuContext;
  network: TrainingNetwork;
  optimizer: Optimizer;
}

/**
 * Takes a step by the gradients of some micro-batches together. All are submitted before anything is waited for.
 *
 * @returns the losses of each micro-batch, and what the step was
 * @throws RillError `bad-argument` for a batch that the network cannot take, `device-lost`, `gpu`.
 */
export async function takeStep(
  { context, network, optimizer }: Training,
  batches: readonly TrainingBatch[],
  options: LossOptions,
  learningRate: number,
): Promise<{ losses: readonly BatchLoss[]; state: StepState }> {
  const then = (encoder: GPUCommandEncoder) => {
    optimizer.step(encoder, learningRate);
  };
  const before: Promise<BatchLoss>[] = [];
  batches.slice(0, -1).forEach((batch, i) => {
    network.submit(batch, options, { isFirst: i === 0 });
    before.push(network.losses());
  });
  network.submit(batches[batches.length - 1], options, { isFirst: batches.length === 1, then });
  const last = readBoth(context, network.pendingLosses(), optimizer.pendingState());
  const [earlier, [own, state]] = await Promise.all([Promise.all(before), last]);
  return { losses: [...earlier, own], state };
}
