import type { EncoderCapacity } from '../../encoder/encoder.ts';
import type { WeightDtype } from '../../model/dtypes.ts';
import type { Model } from '../../model/model.ts';
import type { EncoderSizes } from '../../model/sizes.ts';
import type { BufferScope, GpuContext } from '../device/context.ts';
import type { Dispatch } from '../dispatch.ts';
import { MatrixCompiler, allFrames, type RowsOf } from '../matrices.ts';
import { storageFor, type KernelChoice } from '../methods.ts';
import { WeightLoader, vec4s } from '../weights.ts';

/** The network that a head is loaded for. */
export interface HeadHost {
  readonly context: GpuContext;
  /** What the head's weights live as long as. */
  readonly scope: BufferScope;
  readonly model: Model;
  readonly sizes: EncoderSizes;
  readonly dtype: WeightDtype;
  readonly kernels: Readonly<KernelChoice>;
  readonly capacity: Readonly<EncoderCapacity>;
}

/** Where a linear layer reads and writes; `step` says over how many rows. */
export interface LinearEnds {
  x: GPUBuffer;
  y: GPUBuffer;
  step: GPUBuffer;
}

/**
 * A linear layer of a head, loaded and compiled: a dispatch once it is given its ends.
 *
 * @param rowsOf how many rows a step has; {@link allFrames} by default
 */
export type LinearLayer = (ends: LinearEnds, rowsOf?: RowsOf) => Dispatch;

/**
 * Loads a linear layer of a head.
 *
 * @param layer its name in the checkpoint, before `.weight` and `.bias`
 * @param shape (outputs, inputs)
 * @param adjust changes the bias before it is uploaded
 */
export async function loadLinear(
  { context, scope, model, dtype, kernels: choice, capacity }: HeadHost,
  layer: string,
  [outputs, inputs]: readonly [number, number],
  adjust?: (bias: Float32Array) => void,
): Promise<LinearLayer> {
  const load = new WeightLoader(scope, model.weights, dtype, storageFor(choice));
  const matrix = await load.matrix(`${layer}.weight`, [outputs, inputs]);
  const bias = await load.vector([`${layer}.bias`], outputs, { adjust });
  const linear = await new MatrixCompiler(context, choice.matrices, dtype, capacity).linear(
    vec4s(inputs),
    vec4s(outputs),
  );
  return (ends, rowsOf = allFrames) => linear.bind({ ...matrix, bias, ...ends }, rowsOf);
}
