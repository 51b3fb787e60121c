import * as kernels from '../../../src/training/kernels.generated.ts';
import { poison, randoms } from '../../support/random.ts';
import { balancerBackward, balancerPushes } from '../../training/twins/balancer.ts';
import { gradientFilter } from '../../training/twins/gradient-filter.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { frameByFrame, guarded, overwritten, paddedToVec4s } from './layouts.ts';

/** Places of values, of which each utterance has its own times. */
interface Shape {
  lens: readonly number[];
  times: { perFrame: number; extra: number };
  freqs: number;
  channels: number;
}

const SHAPES: readonly Shape[] = [
  { lens: [1], times: { perFrame: 1, extra: 0 }, freqs: 1, channels: 1 },
  { lens: [3, 1, 2], times: { perFrame: 1, extra: 0 }, freqs: 1, channels: 131 },
  { lens: [1, 4], times: { perFrame: 4, extra: 3 }, freqs: 5, channels: 6 },
];

/** Few, many, small and large values, each in some of the channels. */
const OFFSETS = [0, 4, -4, 0.02, 130];
const OPTIONS = { minPositive: 0.05, maxPositive: 0.95, maxAbs: 100 };
const BOUNDS = { min_positive: OPTIONS.minPositive, max_positive: OPTIONS.maxPositive, max_abs: OPTIONS.maxAbs };

const BALANCED = SHAPES.map(({ lens, times: { perFrame, extra }, freqs, channels }) => {
  const times = perFrame * Math.max(...lens) + extra;
  const count = times * lens.length * freqs;
  const stride = padded(channels);
  const x = randoms(count * channels, 1, 2).map((value, at) => {
    const offset = OFFSETS[(at % channels) % OFFSETS.length];
    return Math.abs(offset) < 1 ? offset * value : offset + value;
  });
  const row = (at: number) => Math.floor(at / channels / freqs);
  const isPadding = (at: number) => Math.floor(row(at) / lens.length) >= perFrame * lens[row(at) % lens.length] + extra;
  return {
    name: `${lens.length} utterances, ${freqs} frequencies, ${channels} channels`,
    ...{ x, isPadding, channels, stride, count },
    inRows: (own: ArrayLike<number>) => guarded(paddedToVec4s(own, channels), stride),
    pushes: balancerPushes(x, { channels, inner: 1 }, OPTIONS, isPadding),
    overrides: { out_freqs: freqs, times_per_frame: perFrame, times_extra: extra, row_vec4s: stride / 4 },
    step: words(lens.length, Math.max(...lens)),
    lens: words(...lens),
  };
});

/** As kernels have them: four shares, four sizes, and so on. */
function packedPushes(pushes: readonly { share: number; size: number }[], pad: number): Float64Array {
  const packed = new Float64Array(2 * padded(pushes.length)).fill(pad);
  pushes.forEach(({ share, size }, channel) => {
    const at = 8 * Math.floor(channel / 4) + (channel % 4);
    packed[at] = share;
    packed[at + 4] = size;
  });
  return packed;
}

/** A channel of zeros: never above zero, and too small. */
const OF_PADDING = { share: 0.04, size: 0.08 };
const withPadding = (pushes: readonly { share: number; size: number }[]) => [
  ...pushes,
  ...new Array<typeof OF_PADDING>(padded(pushes.length) - pushes.length).fill(OF_PADDING),
];

describeKernel(
  kernels.balancerPushes,
  BALANCED.map(({ name, x, inRows, pushes, overrides, step, lens, stride }) => ({
    name,
    overrides: { ...overrides, ...BOUNDS },
    buffers: { x: inRows(x), lens, pushes: poison(2 * stride), step },
    workgroups: [stride / 4, 1, 1],
    expected: { pushes: packedPushes(withPadding(pushes), 0) },
  })),
);

describeKernel(
  kernels.balancer,
  BALANCED.map(({ name, x, inRows, isPadding, pushes, overrides, step, channels, stride, count }) => {
    const dy = randoms(x.length, 2);
    const dx = balancerBackward({ dy, x }, { channels, inner: 1 }, OPTIONS, isPadding);
    const given = inRows(dy);
    return {
      name,
      overrides,
      buffers: { x: inRows(x), pushes: Float32Array.from(packedPushes(pushes, 0)), dx: given, step },
      workgroups: [2, ceilDiv((count * stride) / 4, 64) + 1, 1],
      expected: { dx: overwritten(given, paddedToVec4s(dx, channels)) },
    };
  }),
);

interface Filtered {
  utterances: number;
  frames: number;
  width: number;
}

/** An even number of utterances, whose median is the lower; more of them than threads. */
const FILTERED: readonly Filtered[] = [
  { utterances: 1, frames: 1, width: 1 },
  { utterances: 4, frames: 3, width: 7 },
  { utterances: 37, frames: 2, width: 5 },
];

/** Gradients (utterances, frames, width) of very different sizes, two alike, and what is filtered of them. */
const FILTERS = FILTERED.map(({ utterances, frames, width }) => {
  const size = frames * width;
  const dx = randoms(utterances * size, 5).map((value, at) => value * 1.5 ** (Math.floor(at / size) % 11));
  if (utterances > 1) {
    dx.copyWithin(size, 0, size);
  }
  const norms = Float64Array.from({ length: utterances }, (_, n) =>
    Math.hypot(...dx.subarray(n * size, (n + 1) * size)),
  );
  const { dx: filtered, weightFactor } = gradientFilter(dx, utterances);
  const stride = padded(width);
  return {
    name: `${utterances} utterances of ${frames} frames, ${width} wide`,
    ...{ dx, filtered, norms, stride, width },
    rows: utterances * frames,
    factors: Float64Array.of(
      weightFactor,
      ...norms.map((_, n) => {
        const largest = Array.from({ length: size }, (_none, k) => n * size + k).reduce((a, b) =>
          Math.abs(dx[a]) > Math.abs(dx[b]) ? a : b,
        );
        return filtered[largest] / dx[largest];
      }),
    ),
    inRows: (own: ArrayLike<number>) =>
      guarded(paddedToVec4s(frameByFrame(own, { utterances, frames }), width), stride),
    step: words(utterances, frames),
    row: { row_vec4s: stride / 4 },
  };
});

describeKernel(
  kernels.filterNorms,
  FILTERS.map(({ name, dx, norms, inRows, step, row }) => ({
    name,
    overrides: row,
    buffers: { dx: inRows(dx), norms: poison(norms.length + 1), step },
    workgroups: [norms.length, 1, 1],
    expected: { norms: overwritten(poison(norms.length + 1), norms) },
  })),
);

describeKernel(
  kernels.filterFactors,
  FILTERS.map(({ name, norms, factors, step }) => ({
    name,
    overrides: {},
    buffers: { norms: guarded(norms, 1), factors: poison(factors.length + 1), step },
    workgroups: [1, 1, 1],
    expected: { factors: overwritten(poison(factors.length + 1), factors) },
  })),
);

describeKernel(
  kernels.filterAdd,
  FILTERS.map(({ name, dx, filtered, factors, inRows, step, row, rows }) => {
    const y = randoms(dx.length, 6);
    return {
      name,
      overrides: row,
      buffers: { x: inRows(dx), y: inRows(y), factors: Float32Array.from(factors), step },
      workgroups: [rows + 1, 1, 1],
      expected: { y: Float64Array.from(inRows(filtered.map((value, k) => value + y[k]))) },
    };
  }),
);

describeKernel(
  kernels.filterWeights,
  FILTERS.map(({ name, dx, factors, inRows, step, row, rows }) => ({
    name,
    overrides: row,
    buffers: { y: inRows(dx), factors: Float32Array.from(factors), step },
    workgroups: [rows + 1, 1, 1],
    expected: { y: Float64Array.from(inRows(dx.map((value) => factors[0] * value))) },
  })),
);
