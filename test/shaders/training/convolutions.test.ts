import * as kernels from '../../../src/training/kernels.generated.ts';
import { paddedRows, poison, randoms } from '../../support/random.ts';
import { conv, convBackward, convolved, type ConvSizes } from '../../training/twins/conv.ts';
import { doubleSwish, doubleSwishBackward } from '../../training/twins/double-swish.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { addedTo, guarded, overwritten } from './layouts.ts';

interface Shape {
  utterances: number;
  /** Encoder frames, and the output's times for them. */
  frames: number;
  times: { perFrame: number; extra: number };
  /** Of the input. */
  freqs: number;
  channels: readonly [inputs: number, outputs: number];
  stride: number;
}

/** As the network has them. Of eight frequencies, with a stride of two, no output reads the last. */
const SHAPES: readonly Shape[] = [
  { utterances: 1, frames: 1, times: { perFrame: 1, extra: 0 }, freqs: 3, channels: [1, 1], stride: 2 },
  { utterances: 3, frames: 1, times: { perFrame: 4, extra: 3 }, freqs: 5, channels: [1, 9], stride: 1 },
  { utterances: 5, frames: 2, times: { perFrame: 2, extra: 1 }, freqs: 8, channels: [6, 5], stride: 2 },
];

/** (N, C, times, freqs) as kernels have it: (times, N, freqs, C). */
function channelsInnermost(values: ArrayLike<number>, batch: number, channels: number, freqs: number): Float64Array {
  const times = values.length / batch / channels / freqs;
  return Float64Array.from(values, (_, place) => {
    const [c, f] = [place % channels, Math.floor(place / channels) % freqs];
    const [n, t] = [Math.floor(place / channels / freqs) % batch, Math.floor(place / channels / freqs / batch)];
    return values[((n * channels + c) * times + t) * freqs + f];
  });
}

/** Weights (outputs, inputs, 3, 3) as kernels have them: (outputs, 9, inputs). */
const tapsOutside = (weight: ArrayLike<number>, inputs: number) =>
  Float64Array.from(weight, (_, place) => {
    const [c, tap, o] = [place % inputs, Math.floor(place / inputs) % 9, Math.floor(place / inputs / 9)];
    return weight[(o * inputs + c) * 9 + tap];
  });

/** A convolution with its input and the gradient of its output; channels are padded with zeros. */
function convolutionOf({ utterances, frames, times, freqs, channels: [inputs, outputs], stride }: Shape) {
  const [ins, outs] = [padded(inputs), padded(outputs)];
  const outTimes = times.perFrame * frames + times.extra;
  const inTimes = stride * (outTimes - 1) + 3;
  const sizes: ConvSizes = { batch: utterances, inputs: ins, outputs: outs, times: inTimes, freqs, stride };
  const outFreqs = convolved(freqs, stride);
  /** Zero in channels that are padding. */
  const image = (seed: number, channels: number, own: number, ts: number, fs: number) =>
    randoms(utterances * channels * ts * fs, seed).map((value, i) =>
      Math.floor(i / ts / fs) % channels < own ? value : 0,
    );
  const weight = randoms(outs * ins * 9, 12, 1 / Math.sqrt(9 * inputs)).map((value, i) =>
    Math.floor(i / 9) % ins < inputs && i < outputs * ins * 9 ? value : 0,
  );
  const given = {
    weight,
    bias: paddedRows(1, outputs, outs, 13),
    x: image(14, ins, inputs, inTimes, freqs),
    dy: image(15, outs, outputs, outTimes, outFreqs),
    /** Before the DoubleSwish that made x. */
    z: image(16, ins, inputs, inTimes, freqs).map((value) => 3 * value),
  };
  const ofInput = (values: ArrayLike<number>) => channelsInnermost(values, utterances, ins, freqs);
  const ofOutput = (values: ArrayLike<number>) => channelsInnermost(values, utterances, outs, outFreqs);
  const ofWeight = (values: ArrayLike<number>) => tapsOutside(values, ins);
  const step = words(utterances, frames);
  const vec4s = { in_vec4s: ins / 4, out_vec4s: outs / 4 };
  const rows = { out_freqs: outFreqs, times_per_frame: times.perFrame, times_extra: times.extra };
  const reads = { in_freqs: freqs, stride };
  return {
    name: `${utterances} utterances of ${outTimes} times, ${freqs} frequencies, ${inputs} to ${outputs} channels`,
    ...{ sizes, given, ofInput, ofOutput, ofWeight, step, vec4s, rows, reads },
    outTimes,
    inTimes,
    outFreqs,
    bound: {
      weight: Float32Array.from(ofWeight(weight)),
      bias: given.bias,
      x: guarded(ofInput(given.x), ins),
      dy: guarded(ofOutput(given.dy), outs),
      z: guarded(ofInput(given.z), ins),
    },
  };
}

/** Workgroups of so many threads and of some more, folded into y. */
const folded = (threads: number) => [2, ceilDiv(threads, 64) + 1, 1] as const;

describeKernel(
  kernels.conv,
  SHAPES.map((shape) => {
    const { name, sizes, given, bound, ofOutput, step, vec4s, rows, reads } = convolutionOf(shape);
    const before = conv(given, sizes);
    const outputs = poison(before.length + sizes.outputs);
    return {
      name,
      overrides: { ...vec4s, ...rows, ...reads },
      buffers: { weight: bound.weight, bias: bound.bias, x: bound.x, z: outputs, y: outputs, step },
      workgroups: folded(before.length / 4),
      expected: {
        z: overwritten(outputs, ofOutput(before)),
        y: overwritten(outputs, ofOutput(doubleSwish(before))),
      },
    };
  }),
);

describeKernel(
  kernels.convInputGradient,
  SHAPES.map((shape) => {
    const { name, sizes, given, bound, ofInput, step, inTimes, outFreqs } = convolutionOf(shape);
    const { perFrame, extra } = shape.times;
    const dz = doubleSwishBackward({ dy: convBackward(given, sizes).dx, x: given.z });
    const poisoned = poison(dz.length + sizes.inputs);
    return {
      name,
      overrides: {
        out_freqs: shape.freqs,
        times_per_frame: shape.stride * perFrame,
        times_extra: inTimes - shape.stride * perFrame * shape.frames,
        out_vec4s: sizes.inputs / 4,
        later_vec4s: sizes.outputs / 4,
        later_freqs: outFreqs,
        later_per_frame: perFrame,
        later_extra: extra,
        stride: shape.stride,
      },
      buffers: { weight: bound.weight, dy: bound.dy, z: bound.z, dz: poisoned, step },
      workgroups: folded(dz.length / 4),
      expected: { dz: overwritten(poisoned, ofInput(dz)) },
    };
  }),
);

describeKernel(
  kernels.convWeightGradient,
  SHAPES.map((shape) => {
    const { name, sizes, given, bound, ofWeight, step, vec4s, rows, reads } = convolutionOf(shape);
    const gradient = paddedRows(9 * sizes.outputs + 1, shape.channels[0], sizes.inputs, 17);
    return {
      name,
      overrides: { ...vec4s, ...rows, ...reads },
      buffers: { dy: bound.dy, x: bound.x, gradient, step },
      workgroups: [9 * vec4s.in_vec4s, vec4s.out_vec4s, 1] as const,
      expected: { gradient: addedTo(gradient, ofWeight(convBackward(given, sizes).dWeight)) },
    };
  }),
);

describeKernel(
  kernels.convBiasGradient,
  SHAPES.map((shape) => {
    const { name, sizes, given, bound, step, vec4s, rows } = convolutionOf(shape);
    const gradient = paddedRows(1, shape.channels[1], sizes.outputs + 4, 18);
    return {
      name,
      overrides: { ...rows, out_vec4s: vec4s.out_vec4s },
      buffers: { dy: bound.dy, gradient, step },
      workgroups: [vec4s.out_vec4s, 1, 1] as const,
      expected: { gradient: addedTo(gradient, convBackward(given, sizes).dBias) },
    };
  }),
);
