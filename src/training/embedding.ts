import { subsampledFreqs } from '../model/sizes.ts';
import { CONV_TIMES, timesOf } from '../webgpu/buffers.ts';
import { vec4s } from '../webgpu/weights.ts';
import * as kernels from './kernels.generated.ts';
import { linear, linearGradients, namesOf, type BackwardParts, type NetworkParts } from './layer.ts';
import { EMBED } from './layout.ts';
import { byRow, byThread, type BatchSize, type Operation } from './operations.ts';
import { BALANCERS } from './shaping.ts';

/** Convolutions' places in icefall's Sequential. */
const CONVS = ['conv.0', 'conv.3', 'conv.6'] as const;
const STRIDES = [1, 2, 2] as const;

/** The embedding's way forward; its norm is for the ordinal behind the last layer's, where alpha is 1. */
export interface EmbeddingPlan {
  operations: readonly Operation[];
  norm: Operation;
}

/** The embedding's way back. */
export interface EmbeddingBackwardPlan extends EmbeddingPlan {
  /** Before the norm's. */
  before: readonly Operation[];
}

/** Where a convolution's rows lie, as its kernels know it. */
const placesOf = ({ freqs, times }: ReturnType<typeof shapesOf>[number]) => ({
  out_freqs: freqs,
  times_per_frame: times.perFrame,
  times_extra: times.extra,
});

/** What a convolution reads, and how large it is. */
function shapesOf({ sizes, activations }: NetworkParts) {
  const freqs = subsampledFreqs(sizes.numFeatures);
  return CONVS.map((name, i) => ({
    name: `${EMBED}.${name}`,
    x: i === 0 ? activations.features : activations.convs[i - 1].y,
    own: activations.convs[i],
    inVec4s: i === 0 ? 1 : vec4s(sizes.channels[i - 1]),
    outVec4s: vec4s(sizes.channels[i]),
    inFreqs: i === 0 ? sizes.numFeatures : freqs[i - 1],
    freqs: freqs[i],
    stride: STRIDES[i],
    times: CONV_TIMES[i],
    rows: ({ utterances, frames }: BatchSize) => timesOf(CONV_TIMES[i], frames) * utterances * freqs[i],
  }));
}

const NORM = `${EMBED}.out_norm.eps`;

/** @throws RillError `shader`. */
export async function planEmbedding(parts: NetworkParts): Promise<EmbeddingPlan> {
  const { maker, sizes, parameters, activations, step, at } = parts;
  const { convs, embed, alpha, input } = activations;
  const shapes = shapesOf(parts);
  const [, , last] = shapes;
  const forward = shapes.map((shape) => {
    const { name, x, own, inVec4s, outVec4s, inFreqs, stride } = shape;
    return maker.make(
      kernels.conv,
      { ...placesOf(shape), in_vec4s: inVec4s, out_vec4s: outVec4s, in_freqs: inFreqs, stride },
      {
        ...{ weight: parameters.of(`${name}.weight`).value, bias: parameters.of(`${name}.bias`).value },
        ...{ x, z: own.z, y: own.y, step },
      },
      (size) => byThread(shape.rows(size) * outVec4s),
    );
  });
  const out = linear(parts, namesOf(`${EMBED}.out`), last.freqs * last.outVec4s, vec4s(sizes.dModel), {
    ...{ x: convs[2].y, y: embed },
  });
  const norm = maker.make(
    kernels.bypass,
    { width: sizes.dModel },
    { eps: parameters.of(NORM).value, alpha, x2: embed, x: embed, y: input, step, at },
    byRow,
  );
  return { operations: await Promise.all([...forward, out]), norm: await norm };
}

/** @throws RillError `shader`. */
export async function planEmbeddingBackward(parts: BackwardParts): Promise<EmbeddingBackwardPlan> {
  const { maker, sizes, parameters, activations, step, at, shaping } = parts;
  const { convs, embed, alpha, layers, dOut, dX2, dEps } = activations;
  const shapes = shapesOf(parts);
  const [, , last] = shapes;
  const inputs = last.freqs * last.outVec4s;
  const d = vec4s(sizes.dModel);
  const norm = maker.make(
    kernels.bypassGradient,
    { width: sizes.dModel },
    { eps: parameters.of(NORM).value, alpha, x2: embed, dout: dOut, dx2: dX2, deps: dEps, step, at },
    byRow,
  );
  const outBackward = [
    ...linearGradients(parts, `${EMBED}.out.weight`, [`${EMBED}.out.bias`], inputs, d, {
      dy: dX2,
      x: convs[2].y,
      dx: convs[2].dz,
    }),
    maker.make(
      kernels.swishGradient,
      { is_masked: 0, keep_scale: 1, row_vec4s: inputs },
      { a: convs[2].z, du: convs[2].dz, mask: alpha, step },
      byRow,
    ),
  ];
  const convsBackward = [...shapes.keys()].reverse().flatMap((i) => {
    const shape = shapes[i];
    const { name, x, own, inVec4s, outVec4s, inFreqs, stride, times } = shape;
    const { value: weight, gradient } = parameters.of(`${name}.weight`);
    const { gradient: ofBias } = parameters.of(`${name}.bias`);
    const gradients = shaping.balancer(parts, BALANCERS.conv(i), { x: own.z, dx: own.dz }, outVec4s, shape);
    if (gradient) {
      gradients.push(
        maker.make(
          kernels.convWeightGradient,
          { ...placesOf(shape), in_vec4s: inVec4s, out_vec4s: outVec4s, in_freqs: inFreqs, stride },
          { dy: own.dz, x, gradient, step },
          () => [9 * inVec4s, outVec4s, 1],
        ),
      );
    }
    if (ofBias) {
      gradients.push(
        maker.make(
          kernels.convBiasGradient,
          { ...placesOf(shape), out_vec4s: outVec4s },
          { dy: own.dz, gradient: ofBias, step },
          () => [outVec4s, 1, 1],
        ),
      );
    }
    if (i === 0) {
      return gradients;
    }
    const before = shapes[i - 1];
    const inputGradient = maker.make(
      kernels.convInputGradient,
      {
        ...placesOf(before),
        ...{ out_vec4s: inVec4s, later_vec4s: outVec4s, later_freqs: shape.freqs, stride },
        ...{ later_per_frame: times.perFrame, later_extra: times.extra },
      },
      { weight, dy: own.dz, z: before.own.z, dz: before.own.dz, step },
      (size) => byThread(before.rows(size) * inVec4s),
    );
    return [...gradients, inputGradient];
  });
  const before = Promise.all(shaping.balancer(parts, BALANCERS.embedding, { x: layers[0].x, dx: dOut }, d));
  return {
    before: await before,
    operations: await Promise.all([...outBackward, ...convsBackward]),
    norm: await norm,
  };
}
