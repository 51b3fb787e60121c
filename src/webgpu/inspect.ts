import type { EncoderCapacity, StepInput, StepResult, TracedResult } from '../encoder/encoder.ts';
import { ENCODER_OUT } from '../encoder/outputs.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from './device/context.ts';
import { readBuffers } from './device/readback.ts';
import { DispatchTimer, type KernelTime } from './device/timer.ts';
import type { Slots } from './slots.ts';
import type { Stepper } from './stepper.ts';
import { padded, restride } from './weights.ts';

/** What looks into a step are taken through. */
export interface Inspected {
  context: GpuContext;
  sizes: EncoderSizes;
  slots: Slots;
  stepper: Stepper;
}

/** A step with the output of the embedding and of every layer. Allocates. */
export async function traceStep(
  { context, sizes, slots, stepper }: Inspected,
  inputs: readonly StepInput[],
): Promise<TracedResult[]> {
  const stages = 1 + sizes.numEncoderLayers;
  await slots.settled();
  const { lanes: roomLanes, frames: roomFrames } = slots.workspace.room;
  const scope = new BufferScope(context);
  try {
    const stride = padded(sizes.dModel);
    const room = 4 * roomLanes * roomFrames * stride;
    const buffer = scope.createStorage('trace', 'trace', stages * room);
    const { results, lanes, frames } = await stepper.run(() => inputs, [ENCODER_OUT], { trace: buffer });
    const stageSize = lanes * frames * stride;
    const values = await readBuffers(context, [{ buffer, bytes: 4 * stages * stageSize }]);
    return results.map((result, lane) => ({
      ...result,
      trace: Array.from({ length: stages }, (_, stage) =>
        restride(
          values.subarray(stage * stageSize + lane * frames * stride),
          result.frames,
          sizes.dModel,
          stride,
          sizes.dModel,
        ),
      ),
    }));
  } finally {
    scope.dispose();
  }
}

/** A step with the GPU's time of each kernel, each dispatch in a pass of its own. Allocates. */
export async function profileStep(
  { context, slots, stepper }: Inspected,
  { maxFrames, maxLanes }: EncoderCapacity,
  inputs: readonly StepInput[],
): Promise<{ results: StepResult[]; kernels: KernelTime[] }> {
  await slots.settled();
  // Short steps of one stream can take more than long ones of many, which do not go in waves.
  const most = Array.from({ length: maxFrames }, (_, f) =>
    Math.max(slots.workspace.cost(f + 1, 1).dispatches, slots.workspace.cost(f + 1, maxLanes).dispatches),
  );
  const timer = new DispatchTimer(context, Math.max(...most));
  try {
    const { results } = await stepper.run(() => inputs, [ENCODER_OUT], { timer });
    return { results, kernels: await timer.read() };
  } finally {
    timer.dispose();
  }
}
