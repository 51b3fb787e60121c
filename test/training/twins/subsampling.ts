/**
 * The subsampling, `encoder_embed`.
 *
 *     three times x = doubleswish(conv(x)), strides 1, 2, 2; then (N, C, T', F) to rows (N, T', C F)
 *     y = basicnorm(out(rows), out_norm.eps)
 *
 * out_norm.eps is not trained. Balancers, if they act, are behind each convolution and behind the norm.
 */
import { balancerBackward } from './balancer.ts';
import { basicNorm, basicNormBackward } from './basic-norm.ts';
import { conv, convBackward, convolved, type ConvSizes } from './conv.ts';
import { doubleSwish, doubleSwishBackward } from './double-swish.ts';
import { linear, linearBackward } from './linear.ts';
import type { Numbers } from './numbers.ts';
import { weightOf, type Gradients, type Weights } from './weights.ts';

const EMBED = 'encoder.encoder_embed.';
const CONVS = [
  { name: `${EMBED}conv.0`, stride: 1 },
  { name: `${EMBED}conv.3`, stride: 2 },
  { name: `${EMBED}conv.6`, stride: 2 },
];

interface Times {
  perFrame: number;
  extra: number;
}

/** Times of each convolution that so many encoder frames read. */
const TIMES: readonly Times[] = [
  { perFrame: 4, extra: 3 },
  { perFrame: 2, extra: 1 },
  { perFrame: 1, extra: 0 },
];

export const CONV_BALANCER = { minPositive: 0.05, maxPositive: 0.95, maxAbs: 100 };
const OUT_BALANCER = { minPositive: 0.45, maxPositive: 0.55, maxAbs: 100 };

export interface SubsamplingSaved {
  convs: { sizes: ConvSizes; x: Numbers; before: Float64Array }[];
  /** Rows of `out`, and what it makes of them. */
  rows: Float64Array;
  normed: Float64Array;
  /** (N, T', d) */
  y: Float64Array;
  /** T'. */
  frames: number;
}

/** Features (N, T, numFeatures) to y (N, T', d). */
export function subsampling(
  weights: Weights,
  features: Numbers,
  { batch, times, numFeatures }: { batch: number; times: number; numFeatures: number },
): SubsamplingSaved {
  const convs: SubsamplingSaved['convs'] = [];
  let x = features;
  let [inputs, inTimes, inFreqs] = [1, times, numFeatures];
  for (const { name, stride } of CONVS) {
    const bias = weightOf(weights, `${name}.bias`);
    const sizes = { batch, inputs, outputs: bias.length, times: inTimes, freqs: inFreqs, stride };
    const before = conv({ x, weight: weightOf(weights, `${name}.weight`), bias }, sizes);
    convs.push({ sizes, x, before });
    x = doubleSwish(before);
    [inputs, inTimes, inFreqs] = [bias.length, convolved(inTimes, stride), convolved(inFreqs, stride)];
  }
  const rows = framesOutside(x, { batch, channels: inputs, frames: inTimes, freqs: inFreqs });
  const bias = weightOf(weights, `${EMBED}out.bias`);
  const sizes = { rows: batch * inTimes, inputs: inputs * inFreqs, outputs: bias.length };
  const normed = linear({ x: rows, weight: weightOf(weights, `${EMBED}out.weight`), bias }, sizes);
  const [eps] = Array.from(weightOf(weights, `${EMBED}out_norm.eps`));
  const y = basicNorm({ x: normed, eps }, { rows: sizes.rows, width: bias.length });
  return { convs, rows, normed, y, frames: inTimes };
}

export function subsamplingBackward(
  weights: Weights,
  dy: Numbers,
  { convs, rows, normed, y, frames }: SubsamplingSaved,
  { balancers = false, lens }: { balancers?: boolean; lens?: readonly number[] },
): Gradients {
  const gradients: Gradients = new Map();
  const { batch, outputs: channels } = convs[2].sizes;
  const width = y.length / batch / frames;
  const sizes = { rows: batch * frames, inputs: rows.length / batch / frames, outputs: width };
  /** Elements of (N, channels, times, freqs) that no frame of an utterance reads. */
  const padding = (channels: number, times: number, freqs: number, { perFrame, extra }: Times) =>
    lens &&
    ((at: number) =>
      Math.floor(at / freqs) % times >= perFrame * lens[Math.floor(at / channels / times / freqs)] + extra);
  const isPadding = padding(1, frames, width, TIMES[2]);
  const balanced = balancers
    ? balancerBackward({ dy, x: y }, { channels: width, inner: 1 }, OUT_BALANCER, isPadding)
    : dy;
  const [eps] = Array.from(weightOf(weights, `${EMBED}out_norm.eps`));
  const { dx: dOut } = basicNormBackward({ dy: balanced, x: normed, eps }, { rows: sizes.rows, width });
  const out = linearBackward({ dy: dOut, x: rows, weight: weightOf(weights, `${EMBED}out.weight`) }, sizes);
  gradients.set(`${EMBED}out.weight`, out.dWeight).set(`${EMBED}out.bias`, out.dBias);
  let d = channelsOutside(out.dx, { batch, channels, frames, freqs: sizes.inputs / channels });
  for (let at = CONVS.length - 1; at >= 0; at--) {
    const { name } = CONVS[at];
    const { sizes: own, x, before } = convs[at];
    d = doubleSwishBackward({ dy: d, x: before });
    if (balancers) {
      const [times, freqs] = [convolved(own.times, own.stride), convolved(own.freqs, own.stride)];
      const sizes = { channels: own.outputs, inner: times * freqs };
      const isPadding = padding(own.outputs, times, freqs, TIMES[at]);
      d = balancerBackward({ dy: d, x: before }, sizes, CONV_BALANCER, isPadding);
    }
    const { dx, dWeight, dBias } = convBackward({ dy: d, x, weight: weightOf(weights, `${name}.weight`) }, own);
    gradients.set(`${name}.weight`, dWeight).set(`${name}.bias`, dBias);
    d = dx;
  }
  return gradients;
}

type ImageSizes = Record<'batch' | 'channels' | 'frames' | 'freqs', number>;

/** (N, C, T', F) to (N, T', C F). */
function framesOutside(x: Numbers, sizes: ImageSizes): Float64Array {
  const y = new Float64Array(x.length);
  moves(sizes, (image, row) => (y[row] = x[image]));
  return y;
}

/** (N, T', C F) to (N, C, T', F). */
function channelsOutside(x: Numbers, sizes: ImageSizes): Float64Array {
  const y = new Float64Array(x.length);
  moves(sizes, (image, row) => (y[image] = x[row]));
  return y;
}

/** Calls with the place of each element in (N, C, T', F) and in (N, T', C F). */
function moves({ batch, channels, frames, freqs }: ImageSizes, move: (image: number, row: number) => void): void {
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let t = 0; t < frames; t++) {
        for (let f = 0; f < freqs; f++) {
          move(((n * channels + c) * frames + t) * freqs + f, ((n * frames + t) * channels + c) * freqs + f);
        }
      }
    }
  }
}
