import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import type { Address, Kernels } from './kernels.ts';
import type { Heap } from './memory.ts';
import { padded, type EncoderWeights, type LayerWeights, type Matrix } from './weights.ts';
import type { Workspace } from './workspace.ts';

/** Weights of more bytes than this come from memory at each step, not from a cache. */
const CACHED_BYTES = 24 << 20;
/** From so many rows on a panel from memory is computed with for so long that waiting for its lines counts again. */
const MANY_ROWS = 8;

/** The network, loaded. */
export interface Network {
  kernels: Kernels;
  heap: Heap;
  sizes: EncoderSizes;
  weights: EncoderWeights;
}

/** What one lane of a step brings, and its states, which a step reads and writes. */
export interface Lane {
  /** Encoder frames. */
  frames: number;
  /** (4 frames + 5, num_features), in two parts: what is kept of the chunk before, and the chunk. */
  features: readonly Float32Array[];
  /** (layers, d_model) */
  h: Float32Array<ArrayBuffer>;
  /** (layers, hidden) */
  c: Float32Array<ArrayBuffer>;
}

/**
 * The rows of a step: all lanes' first frames, then all lanes' second ones, and so on. Lanes come with the longest first,
 * so that those that have a frame t are the first few, one behind the other.
 */
export interface Rows {
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
  return { lanes, starts, total };
}

/**
 * Runs a step: features and states in, `x` of all rows and states out.
 *
 * @param lanes the longest first
 * @param onStage called when x is the output of the embedding, and of each layer
 */
export function runStep(
  network: Network,
  space: Workspace,
  lanes: readonly Lane[],
  rows: Rows,
  onStage?: () => void,
): void {
  const { weights } = network;
  copyStates(network, space, lanes, 'in');
  embed(network, space, lanes, rows);
  onStage?.();
  weights.layers.forEach((layer, l) => {
    runLstm(network, space, layer, l, rows);
    runFeedForward(network, space, layer, rows);
    onStage?.();
  });
  copyStates(network, space, lanes, 'out');
}

/** y = W x + b, or y += W x + b, for some rows. */
export function product(
  { kernels, heap }: Network,
  { quantized, scales }: Workspace,
  { weight, scale, bias, inputs, outputs }: Matrix,
  x: Address,
  y: Address,
  rows: number,
  { accumulate = false, isCached = false } = {},
): void {
  const fromMemory = heap.kept > CACHED_BYTES && !isCached;
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
function embed(network: Network, space: Workspace, lanes: readonly Lane[], rows: Rows): void {
  const { kernels, heap, sizes, weights } = network;
  const [conv0, conv3, conv6] = weights.convs;
  const [freqs0, freqs3, freqs6] = subsampledFreqs(sizes.numFeatures);
  const flattened = freqs6 * conv6.outputs;
  lanes.forEach(({ frames, features }, lane) => {
    let at = space.features / 4;
    for (const part of features) {
      heap.floats.set(part, at);
      at += part.length;
    }
    const times0 = SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES - 2;
    const times3 = (times0 - 1) >> 1;
    convolve(kernels, conv0, space.features, space.conv0, [times0, sizes.numFeatures, 1], freqs0, 1);
    convolve(kernels, conv3, space.conv0, space.conv3, [times3, freqs0, conv0.outputs], freqs3, 2);
    for (let t = 0; t < frames; t++) {
      const window = space.conv3 + 4 * 2 * t * freqs3 * conv3.outputs;
      const row = space.wide + 4 * (rows.starts[t] + lane) * flattened;
      convolve(kernels, conv6, window, row, [1, freqs3, conv3.outputs], freqs6, 2);
    }
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

/** Between the lanes' own arrays and the workspace, whose rows are padded and go layer by layer. */
function copyStates(
  { heap, sizes }: Network,
  { room, h, c }: Workspace,
  lanes: readonly Lane[],
  direction: 'in' | 'out',
): void {
  const { numEncoderLayers: layers, dModel, rnnHiddenSize } = sizes;
  const copy = (states: Float32Array, width: number, first: Address, lane: number) => {
    for (let l = 0; l < layers; l++) {
      const at = first / 4 + (l * room.lanes + lane) * padded(width);
      if (direction === 'in') {
        heap.floats.set(states.subarray(l * width, (l + 1) * width), at);
      } else {
        states.set(heap.floats.subarray(at, at + width), l * width);
      }
    }
  };
  lanes.forEach((each, lane) => {
    copy(each.h, dModel, h, lane);
    copy(each.c, rnnHiddenSize, c, lane);
  });
}

/** A lane's rows of an array: (frames, width), without padding. */
export function gather(
  heap: Heap,
  rows: Rows,
  { lane, frames }: { lane: number; frames: number },
  { at, width, stride }: { at: Address; width: number; stride: number },
): Float32Array<ArrayBuffer> {
  const output = new Float32Array(frames * width);
  for (let t = 0; t < frames; t++) {
    const start = at / 4 + (rows.starts[t] + lane) * stride;
    output.set(heap.floats.subarray(start, start + width), t * width);
  }
  return output;
}
