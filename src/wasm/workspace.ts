import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, subsampledFreqs, type EncoderSizes } from '../model/sizes.ts';
import type { Address } from './kernels.ts';
import type { Heap } from './memory.ts';
import { padded } from './weights.ts';

/** What a step needs room for. */
export interface Room {
  /** Streams. */
  lanes: number;
  /** Encoder frames of the longest of them. */
  frames: number;
  /** Encoder frames of all of them. */
  rows: number;
}

/** Where a step's arrays lie; all f32 unless they say otherwise, widths padded. */
export interface Workspace {
  room: Room;
  /** {@link Heap.layout} when it was laid out: under another it is gone. */
  layout: number;
  /** (4 frames + 5, num_features) of each lane, one behind the other */
  features: Address;
  /** (4 frames + 3, freqs, channels) after conv.0, of one lane after the other */
  conv0: Address;
  /** (2 frames + 1, freqs, channels) after conv.3, of one lane after the other */
  conv3: Address;
  /** (rows, d_model): what goes from layer to layer */
  x: Address;
  /** (rows, widest): in turns conv.6 as (freqs, channels), the gates as (4, hidden), what is within the feed-forward */
  wide: Address;
  /** (lanes, hidden): the LSTM before its projection */
  m: Address;
  /** (layers, lanes, d_model) */
  h: Address;
  /** (layers, lanes, hidden) */
  c: Address;
  /** i16 (rows, widest): inputs of an int8 product */
  quantized: Address;
  /** (rows): their scales */
  scales: Address;
  /** (rows, 2): a token and its log-probability */
  picked: Address;
  /** (rows, width) of each head's product, by its output */
  heads: Readonly<Record<string, Address>>;
}

/** Floats of a row of each head's product, by its output. */
export type HeadWidths = Readonly<Record<string, number>>;

/** Elements of each array. */
function lengths(sizes: EncoderSizes, { lanes, frames, rows }: Room) {
  const { numFeatures, channels, numEncoderLayers: layers } = sizes;
  const [width, hidden, feedForward] = [sizes.dModel, sizes.rnnHiddenSize, sizes.dimFeedforward].map(padded);
  const [freqs0, freqs3, freqs6] = subsampledFreqs(numFeatures);
  const flattened = freqs6 * padded(channels[2]);
  const times = SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES;
  return {
    features: (SUBSAMPLING_FACTOR * rows + CONTEXT_FRAMES * lanes) * numFeatures,
    conv0: (times - 2) * freqs0 * padded(channels[0]),
    conv3: ((times - 3) >> 1) * freqs3 * padded(channels[1]),
    x: rows * width,
    wide: rows * Math.max(flattened, 4 * hidden, feedForward),
    m: lanes * hidden,
    h: layers * lanes * width,
    c: layers * lanes * hidden,
    // Two of them in the place of a float.
    quantized: (rows * Math.max(flattened, hidden, width, feedForward)) / 2,
    scales: rows,
    picked: 2 * rows,
  };
}

/** Bytes that a workspace with this room takes, but for what rounds it up. */
export function workspaceBytes(sizes: EncoderSizes, heads: HeadWidths, room: Room): number {
  const ofHeads = Object.values(heads).map((width) => room.rows * width);
  return 4 * [...Object.values(lengths(sizes, room)), ...ofHeads].reduce((sum, length) => sum + length, 0);
}

/**
 * Lays workspaces out anew, one behind the other, of threads that work side by side. Nothing in them outlives a step, but
 * that the padding of states is zero.
 *
 * @throws RillError `no-memory`.
 */
export function layOut(heap: Heap, sizes: EncoderSizes, heads: HeadWidths, rooms: readonly Room[]): Workspace[] {
  heap.reclaim();
  return rooms.map((room) => {
    const { h, c, ...others } = lengths(sizes, room);
    const states = { h: heap.lend(h), c: heap.lend(c) };
    heap.floatsAt(states.h, h).fill(0);
    heap.floatsAt(states.c, c).fill(0);
    return {
      room,
      layout: heap.layout,
      ...states,
      features: heap.lend(others.features),
      conv0: heap.lend(others.conv0),
      conv3: heap.lend(others.conv3),
      x: heap.lend(others.x),
      wide: heap.lend(others.wide),
      m: heap.lend(others.m),
      quantized: heap.lend(others.quantized),
      scales: heap.lend(others.scales),
      picked: heap.lend(others.picked),
      heads: Object.fromEntries(Object.entries(heads).map(([name, width]) => [name, heap.lend(room.rows * width)])),
    };
  });
}
