import type { WeightDtype } from '../model/dtypes.ts';
import { subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { CONV_TIMES, timesOf, type EncoderBuffers } from './buffers.ts';
import type { GpuContext } from './device/context.ts';
import { Kernel, type Workgroups } from './device/kernel.ts';
import { dispatchOf, perRow, type Dispatch } from './dispatch.ts';
import * as kernels from './kernels.generated.ts';
import { ConvKernel, MatrixCompiler, allFrames, oneFrame, type LargestStep } from './matrices.ts';
import type { KernelChoice } from './methods.ts';
import { bindWaves, compileWaves } from './waves.ts';
import { padded, vec4s, type EncoderWeights } from './weights.ts';

/** What a step of the encoder runs, in order. */
export interface EncoderPlan {
  /** Feature frames to x, (lanes * frames, d_model), before its norm. */
  embed: readonly Dispatch[];
  embedNorm: Dispatch;
  /** Layer after layer. */
  layers: readonly {
    /** Once for all frames, before the recurrence: the input half of the gates. */
    before: readonly Dispatch[];
    /** For one frame after the other: the cell, then h. */
    perFrame: readonly Dispatch[];
    /** Once for all frames: feed-forward. */
    after: readonly Dispatch[];
    norm: Dispatch;
  }[];
  /** Several layers at a time: once for each wave, instead of the norm of the embedding and {@link layers}. */
  waves?: readonly Dispatch[];
}

/** The encoder's kernels, compiled for its sizes. */
export type EncoderKernels = Awaited<ReturnType<typeof compileEncoder>>;

/**
 * Compiles the encoder's kernels.
 *
 * @throws RillError `shader`.
 */
export async function compileEncoder(
  context: GpuContext,
  sizes: EncoderSizes,
  dtype: WeightDtype,
  choice: KernelChoice,
  largest: LargestStep,
) {
  const { numFeatures, channels, numEncoderLayers: layers } = sizes;
  const hidden = padded(sizes.rnnHiddenSize);
  const dModel = vec4s(sizes.dModel);
  const dimFeedforward = vec4s(sizes.dimFeedforward);
  const [freqs1, freqs2, freqs3] = subsampledFreqs(numFeatures);
  const [channels1, channels2, channels3] = channels.map(vec4s);

  const matrices = new MatrixCompiler(context, choice.matrices, dtype, largest);
  const convStrided = (
    inFreqs: number,
    outFreqs: number,
    inputs: number,
    outputs: number,
    times: (typeof CONV_TIMES)[number],
  ) =>
    ConvKernel.compile(context, choice.convolutions, {
      in_freqs: inFreqs,
      out_freqs: outFreqs,
      channel_vec4s: inputs,
      out_vec4s: outputs,
      times_per_frame: times.perFrame,
      times_extra: times.extra,
    });
  const [convFirst, conv2, conv3, saveContext, out, norm, gatesX, cell, projection, carry, ff1, ff2] =
    await Promise.all([
      Kernel.create(context, kernels.convFirst, { num_features: numFeatures, out_vec4s: channels1 }),
      convStrided(freqs1, freqs2, channels1, channels2, CONV_TIMES[1]),
      convStrided(freqs2, freqs3, channels2, channels3, CONV_TIMES[2]),
      Kernel.create(context, kernels.saveContext, { num_features: numFeatures }),
      matrices.linear(freqs3 * channels3, dModel),
      Kernel.create(context, choice.matrices === 'quads' ? kernels.basicNormQuad : kernels.basicNorm, {
        width: sizes.dModel,
      }),
      matrices.linear(dModel, hidden),
      matrices.cell(dModel, hidden, layers),
      matrices.projection(hidden / 4, dModel, layers),
      Kernel.create(context, kernels.lstmCarry, { out_vec4s: hidden / 4, layers }),
      matrices.linear(dModel, dimFeedforward, { doubleSwish: true }),
      matrices.linear(dimFeedforward, dModel, { accumulate: true }),
    ]);
  const waves = choice.matrices === 'waves' ? await compileWaves(matrices, sizes) : undefined;
  return { convFirst, conv2, conv3, saveContext, out, norm, gatesX, cell, projection, carry, ff1, ff2, waves };
}

/** Binds the encoder's kernels to weights and buffers: everything a step dispatches. */
export function bindEncoder(
  { convFirst, conv2, conv3, saveContext, out, norm, gatesX, cell, projection, carry, ff1, ff2, waves }: EncoderKernels,
  { numFeatures, channels, rnnHiddenSize }: EncoderSizes,
  weights: EncoderWeights,
  buffers: EncoderBuffers,
): EncoderPlan {
  const { lanes, step, at, h, c, x, m, gates, feedForward } = buffers;
  const [freqs1, freqs2, freqs3] = subsampledFreqs(numFeatures);
  const [times1, times2, times3] = CONV_TIMES;
  const channels1 = vec4s(channels[0]);
  const size = (kernel: { source: { workgroupSize: readonly [number, number, number] } }) =>
    kernel.source.workgroupSize[0];
  const perLane =
    (outputs: number, workgroupSize: number) =>
    (lanes: number): Workgroups => [Math.ceil(outputs / workgroupSize), lanes, 1];

  const { convs } = buffers;
  const embed = [
    dispatchOf(
      convFirst.bind({
        ...weights.convFirst,
        context: buffers.context,
        features: buffers.features,
        lanes,
        y: convs[0],
        step,
      }),
      (lanes, frames) => [
        Math.ceil((Math.ceil(freqs1 / 4) * channels1) / size(convFirst)),
        timesOf(times1, frames),
        lanes,
      ],
      weights.convFirst.weight.size,
    ),
    dispatchOf(
      saveContext.bind({ features: buffers.features, lanes, context: buffers.context, step }),
      perLane(numFeatures, size(saveContext)),
    ),
    conv2.bind({ ...weights.convs[0], x: convs[0], y: convs[1], step }, (frames) => timesOf(times2, frames) * freqs2),
    conv3.bind({ ...weights.convs[1], x: convs[1], y: convs[2], step }, (frames) => timesOf(times3, frames) * freqs3),
    out.bind({ ...weights.out, bias: weights.biasOut, x: convs[2], y: x, step }, allFrames),
  ];
  const normed = ({ normEps }: { normEps: GPUBuffer }) => dispatchOf(norm.bind({ eps: normEps, x, step }), perRow);

  return {
    embed,
    embedNorm: normed(weights),
    waves: waves && weights.waves && bindWaves(waves, weights.waves, buffers),
    layers: weights.layers.map(({ ih, hh, hr, ...layer }) => ({
      before: [gatesX.bind({ ...ih, bias: layer.biasGates, x, y: gates, step }, allFrames)],
      perFrame: [
        cell.bind({ ...hh, gates_x: gates, lanes, h, c, m, step, at }, oneFrame),
        hr
          ? projection.bind({ ...hr, m, lanes, h, x, step, at }, oneFrame)
          : dispatchOf(carry.bind({ m, lanes, h, x, step, at }), perLane(padded(rnnHiddenSize) / 4, size(carry))),
      ],
      after: [
        ff1.bind({ ...layer.ff1, bias: layer.biasFf1, x, y: feedForward, step }, allFrames),
        ff2.bind({ ...layer.ff2, bias: layer.biasFf2, x: feedForward, y: x, step }, allFrames),
      ],
      norm: normed(layer),
    })),
  };
}
