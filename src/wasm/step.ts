import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import type { Address, Kernels } from './kernels.ts';
import { padded, type EncoderWeights, type LayerWeights, type Matrix } from './weights.ts';
import type { Workspace } from './workspace.ts';

/** Weights of more bytes than this come from memory at each step, not from a cache. */
const CACHED_BYTES = 24 << 20;
/** From so many rows on a panel from memory is computed with for so long that waiting for its lines counts again. */
const MANY_ROWS = 8;

/** The network, loaded. */
export interface Network {
  kernels: Kernels;
  sizes: EncoderSizes;
  weights: EncoderWeights;
  /** Bytes of all of them. */
  weightBytes: number;
}

/**
 * The rows of a step: all lanes' first frames, then all lanes' second ones, and so on. Lanes come with the longest first,
 * so that those that have a frame t are the first few, one behind the other.
 */
export interface Rows {
  /** Encoder frames of each lane. */
  frames: readonly number[];
  /** Lanes that have each frame. */
  lanes: readonly number[];
  /** The first row of each frame. */
  starts: readonly number[];
  total: number;
}

/** @param frames of each lane, the longest first */
export function rowsOf(frames: readonly number[]): Rows {
  const lanes = Array.from({ length: frames[0] }, (_, t) => frames.filter((count) => t < count).length);
  let total = 0;
  const starts = lanes.map((count) => {
    const start = total;
    total += count;
    return start;
  });
  return { frames, lanes, starts, total };
}

/**
 * Runs a step: features and states in the workspace become `x` of all rows, and states. Nothing but addresses: what a
 * thread's code is made of.
 *
 * @param onStage called when x is the output of the embedding, and of each layer
 */
export function runStep(network: Network, space: Workspace, rows: Rows, onStage?: () => void): void {
  const { weights } = network;
  embed(network, space, rows);
  onStage?.();
  weights.layers.forEach((layer, l) => {
    runLstm(network, space, layer, l, rows);
    runFeedForward(network, space, layer, rows);
    onStage?.();
  });
}

/** y = W x + b, or y += W x + b, for some rows. */
export function product(
  { kernels, weightBytes }: Network,
  { quantized, scales }: Workspace,
  { weight, scale, bias, inputs, outputs }: Matrix,
  x: Address,
  y: Address,
  rows: number,
  { accumulate = false, isCached = false } = {},
): void {
  const fromMemory = weightBytes > CACHED_BYTES && !isCached;
  if (scale === undefined) {
    const far = fromMemory && (rows === 1 || rows >= MANY_ROWS);
    kernels.linear(weight, bias, x, y, rows, inputs, outputs, accumulate, far);
  } else {
    const far = fromMemory && rows === 1;
    kernels.quantizeRows(x, quantized, scales, rows, inputs);
    kernels.linearInt8(weight, scale, bias, quantized, scales, y, rows, inputs, outputs, accumulate, far);
  }
}

/** Convolutions, one lane after the other; then linear and norm over all rows. */
function embed(network: Network, space: Workspace, rows: Rows): void {
  const { kernels, sizes, weights } = network;
  const [conv0, conv3, conv6] = weights.convs;
  const [freqs0, freqs3, freqs6] = subsampledFreqs(sizes.numFeatures);
  const flattened = freqs6 * conv6.outputs;
  let { features } = space;
  rows.frames.forEach((frames, lane) => {
    const times0 = SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES - 2;
    const times3 = (times0 - 1) >> 1;
    convolve(kernels, conv0, features, space.conv0, [times0, sizes.numFeatures, 1], freqs0, 1);
    convolve(kernels, conv3, space.conv0, space.conv3, [times3, freqs0, conv0.outputs], freqs3, 2);
    for (let t = 0; t < frames; t++) {
      const window = space.conv3 + 4 * 2 * t * freqs3 * conv3.outputs;
      const row = space.wide + 4 * (rows.starts[t] + lane) * flattened;
      convolve(kernels, conv6, window, row, [1, freqs3, conv3.outputs], freqs6, 2);
    }
    features += 4 * (SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES) * sizes.numFeatures;
  });
  product(network, space, weights.out, space.wide, space.x, rows.total);
  kernels.basicNorm(space.x, rows.total, sizes.dModel, weights.out.outputs, weights.normEps);
}

/** A convolution with its DoubleSwish. @param x (times out, freqs, channels) that are read from */
function convolve(
  kernels: Kernels,
  { weight, bias, outputs }: Matrix,
  x: Address,
  y: Address,
  [times, freqs, channels]: readonly [number, number, number],
  outFreqs: number,
  stride: number,
): void {
  kernels.conv(weight, bias, x, y, times, freqs, channels, outFreqs, outputs, stride);
  kernels.doubleSwish(y, times * outFreqs * outputs);
}

/** x += LSTM(x) */
function runLstm(network: Network, space: Workspace, { ih, hh, hr }: LayerWeights, layer: number, rows: Rows): void {
  const { kernels, sizes } = network;
  const { lanes } = space.room;
  const [width, hidden] = [padded(sizes.dModel), padded(sizes.rnnHiddenSize)];
  const h = space.h + 4 * layer * lanes * width;
  const c = space.c + 4 * layer * lanes * hidden;
  product(network, space, ih, space.x, space.wide, rows.total);
  rows.lanes.forEach((active, t) => {
    const isCached = t > 0;
    const gates = space.wide + 4 * rows.starts[t] * 4 * hidden;
    product(network, space, hh, h, gates, active, { accumulate: true, isCached });
    if (hr) {
      kernels.lstmCell(gates, c, space.m, active, hidden);
      product(network, space, hr, space.m, h, active, { isCached });
    } else {
      kernels.lstmCell(gates, c, h, active, hidden);
    }
    kernels.add(h, space.x + 4 * rows.starts[t] * width, active * width);
  });
}

/** x = norm(x + W2 doubleswish(W1 x + b1) + b2) */
function runFeedForward(network: Network, space: Workspace, { ff1, ff2, normEps }: LayerWeights, rows: Rows): void {
  const { kernels, sizes } = network;
  product(network, space, ff1, space.x, space.wide, rows.total);
  kernels.doubleSwish(space.wide, rows.total * ff1.outputs);
  product(network, space, ff2, space.wide, space.x, rows.total, { accumulate: true });
  kernels.basicNorm(space.x, rows.total, sizes.dModel, ff2.outputs, normEps);
}
