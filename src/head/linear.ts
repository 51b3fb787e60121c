import type { RnnEncoder, StepOutput } from '../encoder/encoder.ts';
import { perOutputs, type Dispatch } from '../encoder/plan.ts';
import { WeightLoader, padded, vec4s } from '../encoder/weights.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import { WEIGHT_BITS } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';

/**
 * A linear layer over the encoder's output, to run in its step.
 *
 * @param layer its name in the checkpoint, before `.weight` and `.bias`
 * @param outputs its width
 * @param name of its output in a step's results
 */
export async function linearHead(
  encoder: RnnEncoder,
  model: Model,
  layer: string,
  outputs: number,
  name: string,
): Promise<{ dispatch: Dispatch; output: StepOutput }> {
  const { context, buffers, sizes, dtype, capacity, stepUniform: step } = encoder;
  const load = new WeightLoader(buffers, model.weights, dtype);
  const matrix = await load.matrix(`${layer}.weight`, [outputs, sizes.dModel]);
  const bias = await load.vector([`${layer}.bias`], outputs);
  const bytes = 4 * capacity.maxStreams * capacity.maxFrames * padded(outputs);
  const buffer = buffers.createStorage('activations', name, bytes);
  const linear = await Kernel.create(context, kernels.linear, {
    weight_bits: WEIGHT_BITS[dtype],
    in_vec4s: vec4s(sizes.dModel),
    out_vec4s: vec4s(outputs),
    double_swish: 0,
    accumulate: 0,
  });
  return {
    dispatch: {
      weight: matrix.weight,
      kernel: linear.bind({ ...matrix, bias, x: encoder.output.buffer, y: buffer, step }),
      workgroups: perOutputs(vec4s(outputs), linear.source.workgroupSize[0]),
    },
    output: { name, buffer, width: outputs },
  };
}
