import type { Dispatch } from '../encoder/dispatch.ts';
import type { RnnEncoder } from '../encoder/encoder.ts';
import { MatrixCompiler, allFrames, storageFor, type RowsOf } from '../encoder/matrices.ts';
import { WeightLoader, vec4s } from '../encoder/weights.ts';
import type { Model } from '../model/model.ts';

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
  { context, scope, dtype, kernels: choice, capacity }: RnnEncoder,
  model: Model,
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
