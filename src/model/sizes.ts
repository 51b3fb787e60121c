import { RillError, type RillErrorCode } from '../errors.ts';
import { elementCount, shapeText, type TensorInfo } from './tensors.ts';

/** Widths of the network, under icefall's names. */
export interface EncoderSizes {
  /** Mel bins. */
  numFeatures: number;
  /** Output channels of the three convolutions. */
  channels: readonly [number, number, number];
  /** Encoder width, also the width of h. */
  dModel: number;
  /** LSTM cell width; equal to `dModel` when there is no projection. */
  rnnHiddenSize: number;
  /** Whether h is a projection of the cell’s output, as icefall has it. */
  hasProjection: boolean;
  /** Width of the feed-forward layers. */
  dimFeedforward: number;
  /** LSTM layers. */
  numEncoderLayers: number;
}

/** Widths of a whole network. */
export interface ModelSizes {
  /** The encoder’s. */
  encoder: EncoderSizes;
  /** Classes of whichever heads there are. */
  vocabSize?: number;
  /** The transducer’s decoder and joiner; absent where the model has none. */
  transducer?: {
    /** Width of the decoder. */
    decoderDim: number;
    /** Tokens that the decoder looks back at. */
    contextSize: number;
    /** Width of the joiner. */
    joinerDim: number;
  };
  /** Whether there is a CTC head. */
  hasCtc: boolean;
}

/** Input frames (10 ms) per encoder frame (40 ms). */
export const SUBSAMPLING_FACTOR = 4;
/** Feature frames that a stream keeps from chunk to chunk: n encoder frames need 4n + 5 feature frames. */
export const CONTEXT_FRAMES = 5;
export const MIN_FEATURE_FRAMES = SUBSAMPLING_FACTOR + CONTEXT_FRAMES;

/** Encoder frames that `featureFrames` feature frames give. */
export function encoderFrames(featureFrames: number): number {
  return featureFrames < MIN_FEATURE_FRAMES ? 0 : (((featureFrames - 3) >> 1) - 1) >> 1;
}

/** Mel axis after each convolution. */
export function subsampledFreqs(numFeatures: number): [number, number, number] {
  const first = numFeatures - 2;
  const second = Math.floor((first - 3) / 2) + 1;
  return [first, second, Math.floor((second - 3) / 2) + 1];
}

const EMBED = 'encoder.encoder_embed';
const layerName = (layer: number) => `encoder.encoder.layers.${layer}`;

/**
 * Every tensor of a network of these sizes with its shape, under icefall's names, scales folded. Tensors that
 * are not in this list take no part in inference.
 */
export function expectedTensors({ encoder, vocabSize = 0, transducer, hasCtc }: ModelSizes): Map<string, number[]> {
  const { numFeatures, channels, dModel: d, rnnHiddenSize: hidden, hasProjection, dimFeedforward: ff } = encoder;
  const expected = new Map<string, number[]>();
  [0, 3, 6].forEach((position, i) => {
    expected.set(`${EMBED}.conv.${position}.weight`, [channels[i], i === 0 ? 1 : channels[i - 1], 3, 3]);
    expected.set(`${EMBED}.conv.${position}.bias`, [channels[i]]);
  });
  expected.set(`${EMBED}.out.weight`, [d, channels[2] * subsampledFreqs(numFeatures)[2]]);
  expected.set(`${EMBED}.out.bias`, [d]);
  expected.set(`${EMBED}.out_norm.eps`, []);
  for (let l = 0; l < encoder.numEncoderLayers; l++) {
    const layer = layerName(l);
    expected.set(`${layer}.lstm.weight_ih_l0`, [4 * hidden, d]);
    expected.set(`${layer}.lstm.weight_hh_l0`, [4 * hidden, d]);
    expected.set(`${layer}.lstm.bias_ih_l0`, [4 * hidden]);
    expected.set(`${layer}.lstm.bias_hh_l0`, [4 * hidden]);
    if (hasProjection) {
      expected.set(`${layer}.lstm.weight_hr_l0`, [d, hidden]);
    }
    expected.set(`${layer}.feed_forward.0.weight`, [ff, d]);
    expected.set(`${layer}.feed_forward.0.bias`, [ff]);
    expected.set(`${layer}.feed_forward.4.weight`, [d, ff]);
    expected.set(`${layer}.feed_forward.4.bias`, [d]);
    expected.set(`${layer}.norm_final.eps`, []);
  }
  if (transducer) {
    const { decoderDim, contextSize, joinerDim } = transducer;
    expected.set('decoder.embedding.weight', [vocabSize, decoderDim]);
    expected.set('decoder.conv.weight', [decoderDim, 1, contextSize]);
    expected.set('joiner.encoder_proj.weight', [joinerDim, d]);
    expected.set('joiner.encoder_proj.bias', [joinerDim]);
    expected.set('joiner.decoder_proj.weight', [joinerDim, decoderDim]);
    expected.set('joiner.decoder_proj.bias', [joinerDim]);
    expected.set('joiner.output_linear.weight', [vocabSize, joinerDim]);
    expected.set('joiner.output_linear.bias', [vocabSize]);
  }
  if (hasCtc) {
    expected.set('ctc_output.1.weight', [vocabSize, d]);
    expected.set('ctc_output.1.bias', [vocabSize]);
  }
  return expected;
}

/**
 * Infers every size from tensor shapes and checks that every tensor is there and fits.
 *
 * @param code the kind of error to raise: `bad-checkpoint` or `bad-model`
 * @param numFeatures when known; 4 k + 8 features and up to three fewer give the same shapes
 */
export function inferSizes(
  code: RillErrorCode,
  tensors: ReadonlyMap<string, TensorInfo>,
  numFeatures?: number,
): ModelSizes {
  const has = (part: string) => [...tensors.keys()].some((name) => name.startsWith(part));
  const isPart = (has('decoder.') || has('joiner.')) && !(has('encoder.') && has('decoder.') && has('joiner.output'));
  const shapeIfAny = (name: string): readonly number[] | undefined => {
    const info = tensors.get(name);
    if (info?.unreadable !== undefined) {
      throw new RillError(code, {
        got: `${name}, ${info.unreadable}`,
        expected: 'a tensor of floating-point numbers',
        remedy: 'Save the state dict of the model as it was trained, torch.save(model.state_dict(), "model.pt").',
      });
    }
    return info?.shape;
  };
  const shapeOf = (name: string, rank: number): readonly number[] => {
    const shape = shapeIfAny(name);
    if (shape?.length !== rank || shape.includes(0)) {
      throw new RillError(code, {
        got: shape ? `${name} of shape ${shapeText(shape)}` : `no tensor ${name}`,
        expected: `a tensor of rank ${rank} with no empty axis`,
        remedy: isPart
          ? 'This is only a part of a network: name encoder, decoder and joiner together, or the folder with all three.'
          : 'Check that this is an icefall LSTM transducer (lstm_transducer_stateless); other encoders are not supported.',
      });
    }
    return shape;
  };

  const channels = [0, 3, 6].map((position) => shapeOf(`${EMBED}.conv.${position}.weight`, 4)[0]);
  const [dModel, flattened] = shapeOf(`${EMBED}.out.weight`, 2);
  const freqs = Math.floor(flattened / channels[2]);
  if (numFeatures !== undefined && subsampledFreqs(numFeatures)[2] !== freqs) {
    throw new RillError('bad-model', {
      got: `a configuration of ${numFeatures} mel bins`,
      expected: `${4 * freqs + 5} to ${4 * freqs + 8}, as ${EMBED}.out.weight has it`,
      remedy: 'Correct config.json.',
    });
  }
  const hasProjection = tensors.has(`${layerName(0)}.lstm.weight_hr_l0`);
  let numEncoderLayers = 1;
  while (tensors.has(`${layerName(numEncoderLayers)}.lstm.weight_ih_l0`)) {
    numEncoderLayers++;
  }
  const rnnHiddenSize = Math.floor(shapeOf(`${layerName(0)}.lstm.weight_ih_l0`, 2)[0] / 4);
  const sizes: ModelSizes = {
    encoder: {
      numFeatures: numFeatures ?? 4 * freqs + 8,
      channels: [channels[0], channels[1], channels[2]],
      dModel,
      rnnHiddenSize,
      // Without a projection h is as wide as the cell; anything else must bring one.
      hasProjection: hasProjection || rnnHiddenSize !== dModel,
      dimFeedforward: shapeOf(`${layerName(0)}.feed_forward.0.weight`, 2)[0],
      numEncoderLayers,
    },
    hasCtc: tensors.has('ctc_output.1.weight'),
  };
  if (tensors.has('joiner.output_linear.weight') || tensors.has('decoder.embedding.weight')) {
    const [vocabSize, decoderDim] = shapeOf('decoder.embedding.weight', 2);
    const joinerDim = shapeOf('joiner.output_linear.weight', 2)[1];
    sizes.vocabSize = vocabSize;
    sizes.transducer = { decoderDim, joinerDim, contextSize: shapeOf('decoder.conv.weight', 3)[2] };
  }
  if (sizes.hasCtc) {
    sizes.vocabSize ??= shapeOf('ctc_output.1.weight', 2)[0];
  }

  for (const [name, expected] of expectedTensors(sizes)) {
    const shape = shapeIfAny(name);
    const fits = shape?.length === expected.length && shape.every((size, axis) => size === expected[axis]);
    if (!fits) {
      const eps = name.endsWith('.eps');
      throw new RillError(code, {
        got: shape ? `${name} of shape ${shapeText(shape)}` : `no tensor ${name}`,
        expected: `shape ${shapeText(expected)}`,
        remedy:
          eps && !shape
            ? 'A state dict whose scales were already folded has lost its BasicNorm eps: name the checkpoint it came from (--norm-eps-from).'
            : 'The other tensors give that shape; this file does not fit together.',
      });
    }
  }
  return sizes;
}

/** Parameters of each part of a network, as `rill inspect` reports them; BasicNorm's eps are not parameters. */
export function countParameters(sizes: ModelSizes): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [name, shape] of expectedTensors(sizes)) {
    if (!name.endsWith('.eps')) {
      const part = name.slice(0, name.indexOf('.'));
      counts[part] = (counts[part] ?? 0) + elementCount(shape);
    }
  }
  return counts;
}
