/**
 * The whole network with its CTC loss, forward and backward: subsampling, layers, RandomCombine, head.
 *
 *     enc = out of the last layer, or Σ_k w_k ∘ out of aux layer k
 *     logits = W (D_head ∘ enc) + b;  loss = CTC
 */
import { encoderFrames } from '../../../src/model/sizes.ts';
import type { Draws } from '../../../src/training/draws.ts';
import { ctcLoss, type CtcLoss, type Reduction } from './ctc.ts';
import { dropout } from './dropout.ts';
import { encoderLayer, encoderLayerBackward, type LayerDraws, type LayerSaved, type Shaping } from './encoder-layer.ts';
import { linear, linearBackward } from './linear.ts';
import { logSoftmax } from '../../../src/training/cpu/log-softmax.ts';
import type { Numbers } from './numbers.ts';
import { randomCombine, randomCombineBackward } from './random-combine.ts';
import { subsampling, subsamplingBackward } from './subsampling.ts';
import { weightOf, type Gradients, type Weights } from './weights.ts';

const HEAD = 'ctc_output.1.';
const layerPrefix = (layer: number) => `encoder.encoder.layers.${layer}.`;

export interface NetworkSizes {
  numFeatures: number;
  dModel: number;
  rnnHiddenSize: number;
  dimFeedforward: number;
  numEncoderLayers: number;
  auxLayers: readonly number[];
  /** Probability of dropout. */
  dropout: number;
  vocabSize: number;
}

export interface Batch {
  /** (N, T, numFeatures) */
  features: Numbers;
  /** (N) feature frames. */
  lens: readonly number[];
  targets: readonly (readonly number[])[];
}

export interface NetworkOptions {
  reduction: Reduction;
  zeroInfinity?: boolean;
  /** Training mode; without them eval mode. */
  draws?: Draws;
  shaping?: Shaping;
}

export interface NetworkResult extends Pick<CtcLoss, 'losses' | 'loss'> {
  /** Intermediates and their gradients under the names of the golden files. */
  arrays: ReadonlyMap<string, Float64Array>;
  gradients: Gradients;
}

export function network(
  weights: Weights,
  sizes: NetworkSizes,
  { features, lens, targets }: Batch,
  { reduction, zeroInfinity, draws, shaping = {} }: NetworkOptions,
): NetworkResult {
  const { numFeatures, numEncoderLayers, auxLayers, dModel: d, vocabSize } = sizes;
  const batch = lens.length;
  const layerDraws = (l: number): LayerDraws => ({
    alpha: draws?.alpha[l] ?? 1,
    masks: draws?.layers[l],
    probability: sizes.dropout,
  });

  const embed = subsampling(weights, features, { batch, times: features.length / batch / numFeatures, numFeatures });
  const { frames } = embed;
  const layerSizes = { ...sizes, batch, frames, hidden: sizes.rnnHiddenSize };
  const layers: LayerSaved[] = [];
  for (let l = 0; l < numEncoderLayers; l++) {
    const x = l > 0 ? layers[l - 1].out : embed.y;
    layers.push(encoderLayer(weights, layerPrefix(l), x, layerSizes, layerDraws(l)));
  }
  const combine = draws?.combine;
  const combined = combine ? auxLayers : [numEncoderLayers - 1];
  const outputs = combined.map((l) => layers[l].out);
  const encoderOut = combine ? randomCombine(outputs, combine, d) : outputs[0];
  const headSizes = { rows: batch * frames, inputs: d, outputs: vocabSize };
  const head = { x: dropout(encoderOut, draws?.head, sizes.dropout), weight: weightOf(weights, `${HEAD}weight`) };
  const logits = linear({ ...head, bias: weightOf(weights, `${HEAD}bias`) }, headSizes);
  const ctcInputs = { logits, lens: lens.map(encoderFrames), targets };
  const { losses, loss, dLogits } = ctcLoss(ctcInputs, { frames, vocabSize }, { reduction, zeroInfinity });

  const dHead = linearBackward({ dy: dLogits, ...head }, headSizes);
  const dEncoderOut = dropout(dHead.dx, draws?.head, sizes.dropout);
  const gradients: Gradients = new Map([
    [`${HEAD}weight`, dHead.dWeight],
    [`${HEAD}bias`, dHead.dBias],
  ]);
  const dOutputs = combine ? randomCombineBackward(dEncoderOut, combine, combined.length, d) : [dEncoderOut];
  const arrays = new Map<string, Float64Array>([
    ['embed', embed.y],
    ['encoder_out', encoderOut],
    ['log_probs', logSoftmax(logits, vocabSize)],
    ['d_logits', dLogits],
    ['d_encoder_out', dEncoderOut],
  ]);
  let dAbove: Float64Array = new Float64Array(embed.y.length);
  for (let l = numEncoderLayers - 1; l >= 0; l--) {
    const input = combined.indexOf(l);
    const dout = input < 0 ? dAbove : dAbove.map((value, k) => value + dOutputs[input][k]);
    arrays.set(`layer${l}`, layers[l].out).set(`d_layer${l}`, dout);
    const given = { dout, saved: layers[l] };
    const own = encoderLayerBackward(weights, layerPrefix(l), given, layerSizes, layerDraws(l), shaping);
    own.gradients.forEach((gradient, name) => gradients.set(name, gradient));
    dAbove = own.dx;
  }
  arrays.set('d_embed', dAbove);
  subsamplingBackward(weights, dAbove, embed, shaping).forEach((gradient, name) => gradients.set(name, gradient));
  return { losses, loss, arrays, gradients };
}
