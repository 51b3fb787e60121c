import type { EncoderSizes } from '../model/sizes.ts';
import type { EncoderBuffers } from './buffers.ts';
import type { Dispatch } from './dispatch.ts';
import * as kernels from './kernels.generated.ts';
import { WAVE_FRAMES, WAVE_ROWS, oneFrame, type MatrixCompiler } from './matrices.ts';
import { padded, vec4s, type WaveWeights } from './weights.ts';

/**
 * The layers that are at work at a time. Layer l at frame t needs layer l - 1 at t, and itself at t - 1: with l + t the
 * same, many layers can go at once, each a frame behind the layer before it. That takes a handful of dispatches for all
 * of them, L + n - 1 times, but reads a layer's matrices once for each frame: it pays where the gaps between dispatches
 * count for more than bytes.
 */
export interface Wave {
  /** The first, and the frame that it is at; each further layer is at a frame less. */
  layer: number;
  frame: number;
  layers: number;
}

/** Whether a step of this size is to go in waves. */
export const fitsWaves = (lanes: number, frames: number) => lanes * frames <= WAVE_ROWS && frames <= WAVE_FRAMES;

/** Wave after wave, until every layer has seen every frame. */
export function* wavesOf(layers: number, frames: number): Generator<Wave> {
  for (let wave = 0; wave < layers + frames - 1; wave++) {
    const layer = Math.max(0, wave - frames + 1);
    const frame = wave - layer;
    yield { layer, frame, layers: Math.min(layers - layer, frame + 1) };
  }
}

export type WaveKernels = Awaited<ReturnType<typeof compileWaves>>;

/** @throws RillError `shader`. */
export async function compileWaves(matrices: MatrixCompiler, sizes: EncoderSizes) {
  const { numEncoderLayers: layers, dModel: width } = sizes;
  const hidden = padded(sizes.rnnHiddenSize);
  const dModel = vec4s(width);
  const dimFeedforward = vec4s(sizes.dimFeedforward);
  const linear = (inputs: number, outputs: number, after: { is_swished: number; accumulate: number }) =>
    matrices.wave(kernels.linearWave, { in_vec4s: inputs, out_vec4s: outputs, ...after });
  const [cell, projection, ff1, ff2] = await Promise.all([
    matrices.wave(kernels.lstmCellWave, { width, in_vec4s: dModel, out_vec4s: hidden, layers }),
    matrices.wave(kernels.lstmProjectionWave, { in_vec4s: hidden / 4, out_vec4s: dModel, layers }),
    linear(dModel, dimFeedforward, { is_swished: 1, accumulate: 0 }),
    linear(dimFeedforward, dModel, { is_swished: 0, accumulate: 1 }),
  ]);
  return { cell, projection, ff1, ff2, layers };
}

/**
 * What a wave dispatches; a dynamic uniform gets its first layer and that one's frame. The norm of a layer is left to
 * the layer that follows, so that after the last wave the last layer's is missing.
 */
export function bindWaves(
  { cell, projection, ff1, ff2, layers }: WaveKernels,
  { ih, hh, gates, ...weights }: WaveWeights,
  { lanes, step, at, h, c, x, m, feedForward }: EncoderBuffers,
): readonly Dispatch[] {
  const inALayer = (dispatch: Dispatch, ...matrices: GPUBuffer[]): Dispatch => ({
    ...dispatch,
    weightBytes: matrices.reduce((sum, { size }) => sum + size, 0) / layers,
  });
  const gateBuffers = { weight: hh, weight_ih: ih, vectors: gates, x, lanes, h, c, m, step, at };
  return [
    inALayer(cell.bind(gateBuffers, oneFrame), ih, hh),
    inALayer(projection.bind({ ...weights.hr, m, lanes, h, x, step, at }, oneFrame), weights.hr.weight),
    inALayer(ff1.bind({ ...weights.ff1, x, y: feedForward, step, at }, oneFrame), weights.ff1.weight),
    inALayer(ff2.bind({ ...weights.ff2, x: feedForward, y: x, step, at }, oneFrame), weights.ff2.weight),
  ];
}
