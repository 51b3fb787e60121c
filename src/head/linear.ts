import type { RnnEncoder, StepOutput } from '../encoder/encoder.ts';
import { perOutputs, type Dispatch } from '../encoder/plan.ts';
import { WeightLoader, padded, vec4s } from '../encoder/weights.ts';
import { Kernel } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import { WEIGHT_BITS } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';

/** Where a linear layer reads and writes, and over what rows. */
export interface LinearEnds {
  inputs: number;
  x: GPUBuffer;
  outputs: number;
  y: GPUBuffer;
  /** The uniform that says how many rows there are. */
  step: GPUBuffer;
}

/**
 * A linear layer of a head.
 *
 * @param layer its name in the checkpoint, before `.weight` and `.bias`
 * @param adjust changes the bias before it is uploaded
 */
export async function linearLayer(
  { context, buffers, dtype }: RnnEncoder,
  model: Model,
  layer: string,
  { inputs, x, outputs, y, step }: LinearEnds,
  adjust?: (bias: Float32Array) => void,
): Promise<Dispatch> {
  const load = new WeightLoader(buffers, model.weights, dtype);
  const matrix = await load.matrix(`${layer}.weight`, [outputs, inputs]);
  const bias = await load.vector([`${layer}.bias`], outputs, { adjust });
  const linear = await Kernel.create(context, kernels.linear, {
    weight_bits: WEIGHT_BITS[dtype],
    in_vec4s: vec4s(inputs),
    out_vec4s: vec4s(outputs),
    double_swish: 0,
    accumulate: 0,
  });
  return {
    weight: matrix.weight,
    kernel: linear.bind({ ...matrix, bias, x, y, step }),
    workgroups: perOutputs(vec4s(outputs), linear.source.workgroupSize[0]),
  };
}

/**
 * A linear layer over the encoder's output, to run in its step.
 *
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
  const { buffers, sizes, capacity, shared } = encoder;
  const bytes = 4 * capacity.maxStreams * capacity.maxFrames * padded(outputs);
  const y = buffers.createStorage('activations', name, bytes);
  const ends = { inputs: sizes.dModel, x: encoder.output.buffer, outputs, y, step: shared.step };
  return { dispatch: await linearLayer(encoder, model, layer, ends), output: { name, buffer: y, width: outputs } };
}
