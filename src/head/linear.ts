import type { RnnEncoder } from '../encoder/encoder.ts';
import { perOutputs, type Dispatch } from '../encoder/plan.ts';
import { WeightLoader, vec4s } from '../encoder/weights.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import { WEIGHT_BITS } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';

/** Where a linear layer reads and writes; `step` says over how many rows. */
export interface LinearEnds {
  x: GPUBuffer;
  y: GPUBuffer;
  step: GPUBuffer;
}

/** A linear layer of a head, loaded and compiled: a dispatch once it is given its ends. */
export type LinearLayer = (ends: LinearEnds) => Dispatch;

/**
 * Loads a linear layer of a head.
 *
 * @param layer its name in the checkpoint, before `.weight` and `.bias`
 * @param shape (outputs, inputs)
 * @param adjust changes the bias before it is uploaded
 */
export async function loadLinear(
  { context, weights, dtype }: RnnEncoder,
  model: Model,
  layer: string,
  [outputs, inputs]: readonly [number, number],
  adjust?: (bias: Float32Array) => void,
): Promise<LinearLayer> {
  const load = new WeightLoader(weights, model.weights, dtype);
  const matrix = await load.matrix(`${layer}.weight`, [outputs, inputs]);
  const bias = await load.vector([`${layer}.bias`], outputs, { adjust });
  const linear = await Kernel.create(context, kernels.linear, {
    weight_bits: WEIGHT_BITS[dtype],
    in_vec4s: vec4s(inputs),
    out_vec4s: vec4s(outputs),
    double_swish: 0,
    accumulate: 0,
  });
  return ({ x, y, step }) => ({
    weight: matrix.weight,
    kernel: linear.bind({ ...matrix, bias, x, y, step }),
    workgroups: perOutputs(vec4s(outputs), linear.source.workgroupSize[0]),
  });
}
