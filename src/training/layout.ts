import { requireCtc, requireTransducer } from '../encoder/checks.ts';
import { subsampledFreqs, type EncoderSizes, type ModelSizes } from '../model/sizes.ts';
import { padded, vec4s } from '../webgpu/weights.ts';
import type { Head } from './losses/targets.ts';

/**
 * Where a tensor's elements lie on the GPU in training: rows and columns padded to whole vec4s with zeros. Gradients and an
 * optimizer's moments lie as the weights do.
 */
export interface Layout {
  /** Floats in all. */
  length: number;
  /** Where an element goes, by its index in C order. */
  placeOf: (index: number) => number;
  /** vec4s of a row, of a matrix that products read. */
  rowVec4s?: number;
}

const vector = (n: number): Layout => ({ length: padded(n), placeOf: (index) => index });

/** (outputs, inputs), row by row. */
const matrix = (outputs: number, inputs: number): Layout => ({
  length: padded(outputs) * padded(inputs),
  placeOf: (index) => Math.floor(index / inputs) * padded(inputs) + (index % inputs),
  rowVec4s: vec4s(inputs),
});

/** A row of a gates matrix or an element of its bias: a unit's four gates, i f g o, lie side by side. */
const gateRow = (row: number, hidden: number) => 4 * (row % hidden) + Math.floor(row / hidden);

const gatesMatrix = (hidden: number, inputs: number): Layout => ({
  length: 4 * padded(hidden) * padded(inputs),
  placeOf: (index) => gateRow(Math.floor(index / inputs), hidden) * padded(inputs) + (index % inputs),
  rowVec4s: vec4s(inputs),
});

const gatesBias = (hidden: number): Layout => ({
  length: 4 * padded(hidden),
  placeOf: (index) => gateRow(index, hidden),
});

/** (outputs, inputs, 3, 3) as (outputs, 9, inputs): channels lie innermost. */
const convolution = (outputs: number, inputs: number): Layout => ({
  length: padded(outputs) * 9 * padded(inputs),
  placeOf: (index) => {
    const tap = index % 9;
    const channel = Math.floor(index / 9) % inputs;
    const output = Math.floor(index / 9 / inputs);
    return (output * 9 + tap) * padded(inputs) + channel;
  },
});

/** (outputs, channels * freqs), behind the convolutions, as (outputs, freqs, channels). */
const subsampledMatrix = (outputs: number, channels: number, freqs: number): Layout => ({
  length: padded(outputs) * freqs * padded(channels),
  placeOf: (index) => {
    const freq = index % freqs;
    const channel = Math.floor(index / freqs) % channels;
    const output = Math.floor(index / freqs / channels);
    return (output * freqs + freq) * padded(channels) + channel;
  },
  rowVec4s: freqs * vec4s(channels),
});

/** (channels, 1, taps), depthwise, as (taps, channels). */
const depthwise = (channels: number, taps: number): Layout => ({
  length: taps * padded(channels),
  placeOf: (index) => (index % taps) * padded(channels) + Math.floor(index / taps),
});

/** The prefix of a layer's tensors. */
export const layerPrefix = (layer: number) => `encoder.encoder.layers.${layer}`;
export const EMBED = 'encoder.encoder_embed';
export const CTC_HEAD = 'ctc_output.1';
/** The transducer's linear layers. */
export const JOINER = {
  encoder: 'joiner.encoder_proj',
  decoder: 'joiner.decoder_proj',
  output: 'joiner.output_linear',
} as const;

/** The part of an encoder that runs. */
export interface EncoderPart {
  /** The first layer that runs, on what is given as its input; without it all run, from features on. */
  from?: number;
  /** The layer that no longer runs; all run by default. */
  end?: number;
}

/**
 * The layout of every tensor that takes part in training with a head, under icefall's names.
 *
 * @throws RillError `bad-model` for a model without the head.
 */
export const trainingLayouts = (sizes: ModelSizes, head: Head, part: EncoderPart = {}): Map<string, Layout> =>
  new Map([...encoderLayouts(sizes.encoder, part), ...(head === 'ctc' ? ctcLayouts(sizes) : transducerLayouts(sizes))]);

/** The layouts of an encoder's tensors. */
export function encoderLayouts(
  encoder: EncoderSizes,
  { from, end = encoder.numEncoderLayers }: EncoderPart,
): Map<string, Layout> {
  const { dModel, dimFeedforward } = encoder;
  const layouts = from === undefined ? embedLayouts(encoder) : new Map<string, Layout>();
  for (let layer = from ?? 0; layer < end; layer++) {
    const prefix = layerPrefix(layer);
    for (const [name, layout] of lstmLayouts(encoder)) {
      layouts.set(`${prefix}.lstm.${name}`, layout);
    }
    layouts.set(`${prefix}.feed_forward.0.weight`, matrix(dimFeedforward, dModel));
    layouts.set(`${prefix}.feed_forward.0.bias`, vector(dimFeedforward));
    layouts.set(`${prefix}.feed_forward.4.weight`, matrix(dModel, dimFeedforward));
    layouts.set(`${prefix}.feed_forward.4.bias`, vector(dModel));
    layouts.set(`${prefix}.norm_final.eps`, vector(1));
  }
  return layouts;
}

const linearLayouts = (name: string, outputs: number, inputs: number): [string, Layout][] => [
  [`${name}.weight`, matrix(outputs, inputs)],
  [`${name}.bias`, vector(outputs)],
];

const ctcLayouts = (sizes: ModelSizes) =>
  new Map(linearLayouts(CTC_HEAD, requireCtc(sizes).vocabSize, sizes.encoder.dModel));

/** @throws RillError `bad-model` for a model without decoder and joiner. */
export function transducerLayouts(sizes: ModelSizes): Map<string, Layout> {
  const { vocabSize, decoderDim, contextSize, joinerDim } = requireTransducer(sizes);
  return new Map([
    ['decoder.embedding.weight', matrix(vocabSize, decoderDim)],
    ['decoder.conv.weight', depthwise(decoderDim, contextSize)],
    ...linearLayouts(JOINER.encoder, joinerDim, sizes.encoder.dModel),
    ...linearLayouts(JOINER.decoder, joinerDim, decoderDim),
    ...linearLayouts(JOINER.output, vocabSize, joinerDim),
  ]);
}

function embedLayouts({ numFeatures, channels, dModel }: EncoderSizes): Map<string, Layout> {
  const layouts = new Map<string, Layout>();
  [0, 3, 6].forEach((position, i) => {
    layouts.set(`${EMBED}.conv.${position}.weight`, convolution(channels[i], i === 0 ? 1 : channels[i - 1]));
    layouts.set(`${EMBED}.conv.${position}.bias`, vector(channels[i]));
  });
  const [, , freqs] = subsampledFreqs(numFeatures);
  layouts.set(`${EMBED}.out.weight`, subsampledMatrix(dModel, channels[2], freqs));
  layouts.set(`${EMBED}.out.bias`, vector(dModel));
  return layouts.set(`${EMBED}.out_norm.eps`, vector(1));
}

function lstmLayouts({ dModel, rnnHiddenSize: hidden, hasProjection }: EncoderSizes): Map<string, Layout> {
  return new Map([
    ['weight_ih_l0', gatesMatrix(hidden, dModel)],
    ['weight_hh_l0', gatesMatrix(hidden, dModel)],
    ['bias_ih_l0', gatesBias(hidden)],
    ['bias_hh_l0', gatesBias(hidden)],
    ...(hasProjection ? ([['weight_hr_l0', matrix(dModel, hidden)]] as const) : []),
  ]);
}

/** A tensor as it lies on the GPU. */
export function pack({ length, placeOf }: Layout, values: Float32Array): Float32Array<ArrayBuffer> {
  const packed = new Float32Array(length);
  values.forEach((value, index) => {
    packed[placeOf(index)] = value;
  });
  return packed;
}

/** A tensor in C order again. @param count elements of it */
export const unpack = ({ placeOf }: Layout, packed: Float32Array, count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, index) => packed[placeOf(index)]);
