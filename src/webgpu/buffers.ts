import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import type { BufferScope } from './device/context.ts';
import * as kernels from './kernels.generated.ts';
import { WAVE_ROWS } from './matrices.ts';
import { padded } from './weights.ts';

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
export const CONV_TIMES = [
  { perFrame: 4, extra: 3 },
  { perFrame: 2, extra: 1 },
  { perFrame: 1, extra: 0 },
] as const;
export const timesOf = ({ perFrame, extra }: (typeof CONV_TIMES)[number], frames: number) => perFrame * frames + extra;

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
