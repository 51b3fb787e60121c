import type { BufferScope, GpuContext } from '../gpu/context.ts';
import { Kernel, type Workgroups } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import { dispatchOf, perRow, type Dispatch } from './dispatch.ts';
import {
  ConvKernel,
  MatrixCompiler,
  WAVE_ROWS,
  allFrames,
  oneFrame,
  type KernelChoice,
  type LargestStep,
} from './matrices.ts';
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

/** The buffers of a step: what it reads, what it leaves behind, and the space between. */
export interface EncoderBuffers {
  /** (lanes, 4 * frames, num_features) */
  features: GPUBuffer;
  /** (lanes) of slot and frames */
  lanes: GPUBuffer;
  /** Lanes and frames of the step. */
  step: GPUBuffer;
  /** Lanes of the step, one frame each: for kernels over one frame of every lane. */
  laneStep: GPUBuffer;
  /** (layers, frames) uniform blocks of layer and frame */
  at: GPUBuffer;
  /** (slots, 5, num_features) */
  context: GPUBuffer;
  /** (slots, layers, d_model) */
  h: GPUBuffer;
  /** (slots, layers, rnn_hidden_size) */
  c: GPUBuffer;
  /** Outputs of the convolutions, (lanes, times, freqs, channels). */
  convs: readonly [GPUBuffer, GPUBuffer, GPUBuffer];
  /** (lanes * frames, d_model): the residual stream from the embedding to the last layer's output. */
  x: GPUBuffer;
  /** (lanes * frames, rnn_hidden_size, 4) */
  gates: GPUBuffer;
  /** (lanes, rnn_hidden_size); in waves (lanes * frames, rnn_hidden_size + 4): lstm_cell_wave.wgsl. Room for either. */
  m: GPUBuffer;
  /** (lanes * frames, dim_feedforward) */
  feedForward: GPUBuffer;
}

/** Largest numbers an encoder is made for. */
export interface EncoderCapacity {
  /** Streams that exist at a time, up to 4096; 16 by default. Memory for their states grows with how many there are. */
  maxStreams: number;
  /** Encoder frames of one stream in one step, up to 128; 16 by default, a recognizer's `chunkFrames` there. */
  maxFrames: number;
  /** Streams that one step can advance; as many as the device's buffers allow by default. */
  maxLanes: number;
}

/** What buffers have room for. */
export interface Room {
  /** Streams' states. */
  slots: number;
  /** Streams in one step, and encoder frames of each. */
  lanes: number;
  frames: number;
}

/** Uniform blocks at a dynamic offset start at multiples of this (WebGPU's default limit). */
export const UNIFORM_STRIDE = 256;

/**
 * Times that each convolution gives for n encoder frames: the last one n, and one of stride 2 and kernel 3 needs
 * 2n + 1 of the one before.
 */
const CONV_TIMES = [
  { perFrame: 4, extra: 3 },
  { perFrame: 2, extra: 1 },
  { perFrame: 1, extra: 0 },
] as const;
const timesOf = ({ perFrame, extra }: (typeof CONV_TIMES)[number], frames: number) => perFrame * frames + extra;

/** Bytes that one stream in a step takes up in the largest buffer. */
export function bytesPerLane(sizes: EncoderSizes, frames: number): number {
  return 4 * Math.max(...Object.values(activationSizes(sizes, frames)));
}

/** Bytes of one stream's states in the largest arena. */
export function bytesPerSlot({ numFeatures, dModel, rnnHiddenSize, numEncoderLayers }: EncoderSizes): number {
  return 4 * Math.max(CONTEXT_FRAMES * numFeatures, numEncoderLayers * padded(Math.max(dModel, rnnHiddenSize)));
}

/** Elements of one lane in each buffer between the kernels. */
function activationSizes(
  { numFeatures, channels, dModel, rnnHiddenSize, dimFeedforward }: EncoderSizes,
  frames: number,
) {
  const freqs = subsampledFreqs(numFeatures);
  const [times1, times2, times3] = CONV_TIMES;
  return {
    features: SUBSAMPLING_FACTOR * frames * numFeatures,
    conv0: timesOf(times1, frames) * freqs[0] * padded(channels[0]),
    conv1: timesOf(times2, frames) * freqs[1] * padded(channels[1]),
    conv2: timesOf(times3, frames) * freqs[2] * padded(channels[2]),
    x: frames * padded(dModel),
    gates: frames * 4 * padded(rnnHiddenSize),
    feedForward: frames * padded(dimFeedforward),
  };
}

export function createEncoderBuffers(
  scope: BufferScope,
  sizes: EncoderSizes,
  { slots, lanes, frames }: Room,
): EncoderBuffers {
  const { numFeatures, dModel, rnnHiddenSize, numEncoderLayers } = sizes;
  const each = activationSizes(sizes, frames);
  const hidden = padded(rnnHiddenSize);
  const waveRows = Math.min(lanes * frames, WAVE_ROWS);
  const activations = (name: keyof typeof each) => scope.createStorage('activations', name, 4 * lanes * each[name]);
  const states = (label: string, floats: number) => scope.createStorage('states', label, 4 * slots * floats);
  const uniform = (label: string, bytes: number) =>
    scope.createBuffer('activations', label, bytes, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  return {
    features: activations('features'),
    lanes: scope.createStorage('activations', 'lanes', lanes * kernels.lstmCell.bindings.lanes.size),
    step: uniform('step', kernels.lstmCell.bindings.step.size),
    laneStep: uniform('lane step', kernels.lstmCell.bindings.step.size),
    at: uniform('at', numEncoderLayers * frames * UNIFORM_STRIDE),
    context: states('context', CONTEXT_FRAMES * numFeatures),
    h: states('h', numEncoderLayers * padded(dModel)),
    c: states('c', numEncoderLayers * hidden),
    convs: [activations('conv0'), activations('conv1'), activations('conv2')],
    x: activations('x'),
    gates: activations('gates'),
    m: scope.createStorage('activations', 'm', 4 * Math.max(lanes * hidden, waveRows * (hidden + 4))),
    feedForward: activations('feedForward'),
  };
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
