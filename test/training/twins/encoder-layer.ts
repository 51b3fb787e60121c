/**
 * A layer of the encoder in training mode, input x, whole sequences from zero states; D are dropout masks.
 *
 *     x1 = x + D_lstm ∘ LSTMP(x)
 *     a = W1 x1 + b1;  u = doubleswish(a)
 *     x2 = x1 + D_ff ∘ (W2 (D_inner ∘ u) + b2)
 *     y = basicnorm(x2);  out = α y + (1 − α) x
 *
 *     dx2 from the norm; d(ff) = D_ff ∘ dx2, back through W2, D_inner, doubleswish, W1
 *     dx1 = dx2 + that;  dh = D_lstm ∘ dx1;  dx = (1 − α) dout + dx1 + LSTM part
 *
 * x and out (N, T', d). Balancers, if they act, are behind W1 and before the norm; the filter is around the LSTM.
 */
import type { LayerMasks } from '../../../src/training/draws.ts';
import { balancerBackward } from './balancer.ts';
import { basicNorm, basicNormBackward } from './basic-norm.ts';
import { bypass, bypassBackward } from './bypass.ts';
import { doubleSwish, doubleSwishBackward } from './double-swish.ts';
import { dropout } from './dropout.ts';
import { gradientFilter } from './gradient-filter.ts';
import { linear, linearBackward } from './linear.ts';
import { lstm, lstmBackward, type LstmSaved, type LstmSizes } from './lstm.ts';
import type { Numbers } from './numbers.ts';
import { CONV_BALANCER } from './subsampling.ts';
import { weightOf, type Gradients, type Weights } from './weights.ts';

const NORM_BALANCER = { minPositive: 0.45, maxPositive: 0.55, maxAbs: 6 };

export interface LayerSizes {
  batch: number;
  frames: number;
  dModel: number;
  hidden: number;
  dimFeedforward: number;
}

/** What is drawn for a layer; in eval mode alpha is 1 and there are no masks. */
export interface LayerDraws {
  alpha: number;
  masks?: LayerMasks;
  /** Probability of dropout. */
  probability: number;
}

/** icefall's gradient shaping. */
export interface Shaping {
  filter?: boolean;
  balancers?: boolean;
  /** (N) encoder frames: what is behind them does not count. Without them padding counts, as in icefall. */
  lens?: readonly number[];
}

/** Whether an element of (N, T', width) is padding. */
export const paddingOf = ({ lens }: Shaping, frames: number, width: number) =>
  lens && ((at: number) => Math.floor(at / width) % frames >= lens[Math.floor(at / width / frames)]);

export type LayerSaved = Record<'x1' | 'a' | 'inner' | 'x2' | 'out', Float64Array> & { x: Numbers; lstm: LstmSaved };

const add = (a: Numbers, b: Numbers) => Float64Array.from(a, (value, k) => value + b[k]);

const lstmSizes = ({ batch, frames, dModel, hidden }: LayerSizes): LstmSizes => ({
  batch,
  frames,
  width: dModel,
  hidden,
  proj: dModel,
});

const lstmWeights = (weights: Weights, layer: string) => ({
  weightIh: weightOf(weights, `${layer}lstm.weight_ih_l0`),
  weightHh: weightOf(weights, `${layer}lstm.weight_hh_l0`),
  biasIh: weightOf(weights, `${layer}lstm.bias_ih_l0`),
  biasHh: weightOf(weights, `${layer}lstm.bias_hh_l0`),
  weightHr: weights.get(`${layer}lstm.weight_hr_l0`),
});

/** @param layer prefix of the layer's weights */
export function encoderLayer(
  weights: Weights,
  layer: string,
  x: Numbers,
  sizes: LayerSizes,
  { alpha, masks, probability }: LayerDraws,
): LayerSaved {
  const rows = sizes.batch * sizes.frames;
  const { dModel: d, dimFeedforward: ff } = sizes;
  const own = (name: string) => weightOf(weights, layer + name);
  const recurrent = lstm({ x, ...lstmWeights(weights, layer) }, lstmSizes(sizes));
  const x1 = add(x, dropout(recurrent.h, masks?.lstm, probability));
  const first = { x: x1, weight: own('feed_forward.0.weight'), bias: own('feed_forward.0.bias') };
  const a = linear(first, { rows, inputs: d, outputs: ff });
  const inner = dropout(doubleSwish(a), masks?.ffInner, probability);
  const second = { x: inner, weight: own('feed_forward.4.weight'), bias: own('feed_forward.4.bias') };
  const x2 = add(x1, dropout(linear(second, { rows, inputs: ff, outputs: d }), masks?.ff, probability));
  const y = basicNorm({ x: x2, eps: own('norm_final.eps')[0] }, { rows, width: d });
  return { x, lstm: recurrent, x1, a, inner, x2, out: bypass({ y, x }, alpha) };
}

export function encoderLayerBackward(
  weights: Weights,
  layer: string,
  { dout, saved }: { dout: Numbers; saved: LayerSaved },
  sizes: LayerSizes,
  { alpha, masks, probability }: LayerDraws,
  shaping: Shaping,
): { dx: Float64Array; gradients: Gradients } {
  const { filter = false, balancers = false } = shaping;
  const rows = sizes.batch * sizes.frames;
  const { dModel: d, dimFeedforward: ff } = sizes;
  const own = (name: string) => weightOf(weights, layer + name);
  const padding = (width: number) => paddingOf(shaping, sizes.frames, width);
  const beside = bypassBackward(dout, alpha);
  const norm = { dy: beside.dy, x: saved.x2, eps: own('norm_final.eps')[0] };
  const { dx: dNorm, dEps } = basicNormBackward(norm, { rows, width: d });
  const dx2 = balancers
    ? balancerBackward({ dy: dNorm, x: saved.x2 }, { channels: d, inner: 1 }, NORM_BALANCER, padding(d))
    : dNorm;
  const second = linearBackward(
    { dy: dropout(dx2, masks?.ff, probability), x: saved.inner, weight: own('feed_forward.4.weight') },
    { rows, inputs: ff, outputs: d },
  );
  const dSwish = doubleSwishBackward({ dy: dropout(second.dx, masks?.ffInner, probability), x: saved.a });
  const da = balancers
    ? balancerBackward({ dy: dSwish, x: saved.a }, { channels: ff, inner: 1 }, CONV_BALANCER, padding(ff))
    : dSwish;
  const first = linearBackward(
    { dy: da, x: saved.x1, weight: own('feed_forward.0.weight') },
    { rows, inputs: d, outputs: ff },
  );
  const dx1 = add(dx2, first.dx);
  const recurrent = lstmBackward(
    { dout: dropout(dx1, masks?.lstm, probability), x: saved.x, saved: saved.lstm, ...lstmWeights(weights, layer) },
    lstmSizes(sizes),
  );
  const filtered = filter ? gradientFilter(recurrent.dx, sizes.batch) : { dx: recurrent.dx, weightFactor: 1 };
  const weightGradient = (gradient: Float64Array) => gradient.map((value) => value * filtered.weightFactor);
  const gradients: Gradients = new Map([
    [`${layer}lstm.weight_ih_l0`, weightGradient(recurrent.dWeightIh)],
    [`${layer}lstm.weight_hh_l0`, weightGradient(recurrent.dWeightHh)],
    [`${layer}lstm.bias_ih_l0`, weightGradient(recurrent.dBias)],
    [`${layer}lstm.bias_hh_l0`, weightGradient(recurrent.dBias)],
    [`${layer}feed_forward.0.weight`, first.dWeight],
    [`${layer}feed_forward.0.bias`, first.dBias],
    [`${layer}feed_forward.4.weight`, second.dWeight],
    [`${layer}feed_forward.4.bias`, second.dBias],
    [`${layer}norm_final.eps`, Float64Array.of(dEps)],
  ]);
  if (recurrent.dWeightHr) {
    gradients.set(`${layer}lstm.weight_hr_l0`, weightGradient(recurrent.dWeightHr));
  }
  return { dx: add(add(beside.dx, dx1), filtered.dx), gradients };
}
