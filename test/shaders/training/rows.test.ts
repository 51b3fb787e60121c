import * as kernels from '../../../src/training/kernels.generated.ts';
import { maskBits } from '../../../src/training/masks.ts';
import { paddedRows, poison, randoms } from '../../support/random.ts';
import { basicNorm, basicNormBackward } from '../../training/twins/basic-norm.ts';
import { bypass, bypassBackward } from '../../training/twins/bypass.ts';
import { doubleSwish, doubleSwishBackward } from '../../training/twins/double-swish.ts';
import { dropout } from '../../training/twins/dropout.ts';
import { randomCombineBackward } from '../../training/twins/random-combine.ts';
import { describeKernel, padded, words } from '../harness.ts';
import { addedTo, guarded, overwritten, paddedToVec4s } from './layouts.ts';

interface Shape {
  utterances: number;
  frames: number;
  width: number;
}

const SMALLEST: Shape = { utterances: 1, frames: 1, width: 1 };
/** More vec4s in a row than a workgroup has threads. */
const SHAPES: readonly Shape[] = [
  SMALLEST,
  { utterances: 3, frames: 2, width: 50 },
  { utterances: 5, frames: 1, width: 131 },
];
/** More rows than one dimension of workgroups has. */
const MANY: Shape = { utterances: 5, frames: 6554, width: 3 };

const ROWS_PER_Y = 32768;

/** Rows of a batch, and one behind them that a kernel is also asked for. */
function rowsOf({ utterances, frames, width }: Shape) {
  const rows = utterances * frames;
  const stride = padded(width);
  const values = (seed: number, scale = 2) => randoms(rows * width, seed, scale);
  return {
    name: `${utterances} utterances of ${frames} frames, ${width} wide`,
    rows,
    values,
    inRows: (own: ArrayLike<number>) => guarded(paddedToVec4s(own, width), stride),
    poisoned: poison((rows + 1) * stride),
    /** What is left in a poisoned buffer. */
    left: (own: ArrayLike<number>) => overwritten(poison((rows + 1) * stride), paddedToVec4s(own, width)),
    row_vec4s: stride / 4,
    step: words(utterances, frames),
    workgroups: [Math.min(rows + 1, ROWS_PER_Y), Math.ceil((rows + 1) / ROWS_PER_Y), 1] as const,
  };
}

const PROBABILITY = 0.25;

/** Without a mask and with one; without, what is bound is not read. */
const MASKED = SHAPES.flatMap((shape) =>
  [false, true].map((isMasked) => {
    const { rows, name, ...rest } = rowsOf(shape);
    const kept = randoms(rows * shape.width, 9).map((value) => (value > -0.5 ? 1 : 0));
    return {
      ...rest,
      rows,
      name: `${name}${isMasked ? ', masked' : ''}`,
      overrides: { is_masked: Number(isMasked), keep_scale: 1 / (1 - PROBABILITY), row_vec4s: rest.row_vec4s },
      mask: isMasked ? maskBits(kept, { utterances: 1, frames: rows }, shape.width) : words(0),
      dropped: (values: ArrayLike<number>) => dropout(values, isMasked ? kept : undefined, PROBABILITY),
    };
  }),
);

describeKernel(
  kernels.dropout,
  MASKED.map(({ name, overrides, values, inRows, poisoned, left, dropped, mask, step, workgroups }) => {
    const x = values(1);
    return {
      name,
      overrides,
      buffers: { x: inRows(x), y: poisoned, mask, step },
      workgroups,
      expected: { y: left(dropped(x)) },
    };
  }),
);

describeKernel(
  kernels.residual,
  MASKED.map(({ name, overrides, values, inRows, poisoned, left, dropped, mask, step, workgroups }) => {
    const [x, branch] = [values(1), values(2)];
    const added = dropped(branch).map((value, k) => value + x[k]);
    return {
      name,
      overrides,
      buffers: { x: inRows(x), branch: inRows(branch), y: poisoned, mask, step },
      workgroups,
      expected: { y: left(added) },
    };
  }),
);

/** Far from zero, too: there exp would overflow. */
const SWISHED = 60;

describeKernel(
  kernels.swish,
  MASKED.map(({ name, overrides, values, inRows, poisoned, left, dropped, mask, step, workgroups }) => {
    const a = values(3, SWISHED).map((value, k) => (k % 2 > 0 ? 2 * value : value / 20));
    return {
      name,
      overrides,
      buffers: { a: inRows(a), u: poisoned, mask, step },
      workgroups,
      expected: { u: left(dropped(doubleSwish(a))) },
    };
  }),
);

describeKernel(
  kernels.swishGradient,
  MASKED.map(({ name, overrides, values, inRows, left, dropped, mask, step, workgroups }) => {
    const a = values(3, SWISHED).map((value, k) => (k % 2 > 0 ? 2 * value : value / 20));
    const du = values(4);
    return {
      name,
      overrides,
      buffers: { a: inRows(a), du: inRows(du), mask, step },
      workgroups,
      expected: { du: left(doubleSwishBackward({ dy: dropped(du), x: a })) },
    };
  }),
);

describeKernel(
  kernels.add,
  [...SHAPES, MANY].map((shape) => {
    const { name, values, inRows, left, row_vec4s, step, workgroups } = rowsOf(shape);
    const [x, y] = [values(1), values(2)];
    return {
      name,
      overrides: { row_vec4s },
      buffers: { x: inRows(x), y: inRows(y), step },
      workgroups,
      expected: { y: left(addedTo(y, x)) },
    };
  }),
);

describeKernel(
  kernels.combine,
  SHAPES.map((shape, i) => {
    const { name, rows, values, inRows, left, row_vec4s, step, workgroups } = rowsOf(shape);
    const inputs = i + 1;
    const weights = randoms(rows * inputs, 5);
    const [x, y] = [values(1), values(2)];
    return {
      name: `${name}, the last of ${inputs}`,
      overrides: { inputs, row_vec4s },
      buffers: { weights: guarded(weights, inputs), x: inRows(x), y: inRows(y), step, at: words(inputs - 1, 0) },
      workgroups,
      expected: { y: left(addedTo(y, randomCombineBackward(x, weights, inputs, shape.width)[inputs - 1])) },
    };
  }),
);

/** A layer's eps and alpha; the next layer's are poison. */
function layerOf(shape: Shape, ordinal: number) {
  const { values, ...rest } = rowsOf(shape);
  const eps = Math.fround(Math.log(0.25));
  const alpha = Math.fround(0.1 + 0.45 * ordinal);
  const x2 = values(6);
  return {
    ...rest,
    values,
    name: `${rest.name}, alpha ${alpha.toFixed(2)}`,
    x2,
    alpha,
    norm: { x: x2, eps },
    sizes: { rows: rest.rows, width: shape.width },
    buffers: {
      eps: Float32Array.of(eps),
      alpha: Float32Array.from({ length: 4 }, (_, layer) => (layer === ordinal ? alpha : NaN)),
      at: words(ordinal, 0),
      step: rest.step,
    },
  };
}

describeKernel(
  kernels.bypass,
  SHAPES.map((shape, ordinal) => {
    const { name, values, inRows, poisoned, left, x2, alpha, norm, sizes, buffers, workgroups } = layerOf(
      shape,
      ordinal,
    );
    const x = values(7);
    return {
      name,
      overrides: { width: shape.width },
      buffers: { ...buffers, x2: inRows(x2), x: inRows(x), y: poisoned },
      workgroups,
      expected: { y: left(bypass({ y: basicNorm(norm, sizes), x }, alpha)) },
    };
  }),
);

describeKernel(
  kernels.bypassGradient,
  SHAPES.map((shape, ordinal) => {
    const { name, rows, values, inRows, poisoned, left, x2, alpha, norm, sizes, buffers, workgroups } = layerOf(
      shape,
      ordinal,
    );
    const { width } = shape;
    const dout = values(8);
    const beside = bypassBackward(dout, alpha);
    const ofRow = (all: ArrayLike<number>, row: number) => Array.from(all).slice(row * width, (row + 1) * width);
    const deps = Array.from({ length: rows }, (_, row) => {
      const own = { dy: ofRow(beside.dy, row), x: ofRow(x2, row), eps: norm.eps };
      return [basicNormBackward(own, { rows: 1, width }).dEps, 0, 0, 0];
    });
    const given = poison(4 * (rows + 1));
    return {
      name,
      overrides: { width },
      buffers: { ...buffers, x2: inRows(x2), dout: inRows(dout), dx2: poisoned, deps: given },
      workgroups,
      expected: {
        dx2: left(basicNormBackward({ ...norm, dy: beside.dy }, sizes).dx),
        dout: left(beside.dx),
        deps: overwritten(given, deps.flat()),
      },
    };
  }),
);

/** Mean squares: more elements than threads, and a row that is not whole vec4s. */
describeKernel(
  kernels.meanSquare,
  [
    { utterances: 1, frames: 1, width: 1 },
    { utterances: 3, frames: 5, width: 133 },
  ].map(({ utterances, frames, width }) => {
    const [rows, stride] = [utterances * frames, padded(width)];
    const [y, wanted] = [81, 82].map((seed) => paddedRows(rows, width, stride, seed));
    const given = { dy: poison((rows + 1) * stride), losses: poison(rows + 1) };
    const differences = Float64Array.from(y, (value, k) => value - wanted[k]);
    const elements = rows * width;
    const squares = Float64Array.from({ length: rows }, (_, row) =>
      differences.subarray(row * stride, (row + 1) * stride).reduce((sum, d) => sum + (d * d) / elements, 0),
    );
    return {
      name: `${utterances} utterances of ${frames} frames, ${width} wide`,
      overrides: { width },
      buffers: { y, wanted, ...given, step: words(utterances, frames) },
      workgroups: [rows, 1, 1] as const,
      expected: {
        dy: overwritten(
          given.dy,
          differences.map((d) => (2 * d) / elements),
        ),
        losses: overwritten(given.losses, squares),
      },
    };
  }),
);
