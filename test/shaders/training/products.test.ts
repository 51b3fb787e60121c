import * as kernels from '../../../src/training/kernels.generated.ts';
import { paddedRows, poison } from '../../support/random.ts';
import { alsoInAll } from '../../support/scope.ts';
import { linear, linearBackward } from '../../training/twins/linear.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { addedTo, guarded, overwritten } from './layouts.ts';
import { describeProduct } from './ways.ts';

interface Shape {
  utterances: number;
  frames: number;
  inputs: number;
  outputs: number;
}

/** More inputs, outputs and rows than a block of 64 and a workgroup of 32 vec4s have; rows that fill no tile. */
const SHAPES: readonly Shape[] = [
  { utterances: 1, frames: 1, inputs: 1, outputs: 1 },
  { utterances: 3, frames: 7, inputs: 133, outputs: 70 },
  { utterances: 5, frames: 29, inputs: 9, outputs: 131 },
];

/** A layer with its input and the gradient of its output, all padded to vec4s. */
function layerOf({ utterances, frames, inputs, outputs }: Shape) {
  const rows = utterances * frames;
  const sizes = { rows, inputs: padded(inputs), outputs: padded(outputs) };
  const vec4s = { in_vec4s: sizes.inputs / 4, out_vec4s: sizes.outputs / 4 };
  const weight = paddedRows(sizes.outputs, inputs, sizes.inputs, 31, 1 / Math.sqrt(inputs)).map((value, i) =>
    i < outputs * sizes.inputs ? value : 0,
  );
  return {
    name: `${utterances} utterances of ${frames} frames, ${inputs} to ${outputs}`,
    sizes,
    vec4s,
    weight,
    bias: paddedRows(1, outputs, sizes.outputs, 32),
    x: paddedRows(rows, inputs, sizes.inputs, 33),
    dy: paddedRows(rows, outputs, sizes.outputs, 34),
    step: words(utterances, frames),
    utterances,
  };
}

describeProduct(
  { buffer: kernels.linear, texels: kernels.linearTexels, quads: kernels.linearQuads },
  SHAPES.map((shape) => {
    const { name, sizes, vec4s, weight, bias, x, step } = layerOf(shape);
    const y = poison((sizes.rows + 1) * sizes.outputs);
    return {
      name,
      overrides: vec4s,
      buffers: { weight, bias, x: guarded(x, sizes.inputs), y, step },
      rows: sizes.rows,
      columns: vec4s.in_vec4s,
      expected: { y: overwritten(y, linear({ x, weight, bias }, sizes)) },
    };
  }),
);

describeProduct(
  { buffer: kernels.inputGradient, texels: kernels.inputGradientTexels, quads: kernels.inputGradientQuads },
  SHAPES.flatMap((shape) => {
    const { name, sizes, vec4s, weight, x, dy, step } = layerOf(shape);
    const { dx: own } = linearBackward({ dy, x, weight }, sizes);
    const length = (sizes.rows + 1) * sizes.inputs;
    const ofDx = (dx: Float32Array<ArrayBuffer>, expected: Float64Array, accumulate: boolean) => ({
      name: `${name}${accumulate ? ', added' : ''}`,
      overrides: { in_vec4s: vec4s.out_vec4s, out_vec4s: vec4s.in_vec4s, accumulate: Number(accumulate) },
      buffers: { weight, dy: guarded(dy, sizes.outputs), dx, step },
      rows: sizes.rows,
      columns: vec4s.in_vec4s,
      expected: { dx: expected },
    });
    const [poisoned, given] = [poison(length), paddedRows(sizes.rows + 1, shape.inputs, sizes.inputs, 35)];
    return [ofDx(poisoned, overwritten(poisoned, own), false), ofDx(given, addedTo(given, own), true)];
  }),
);

const weightGradients = SHAPES.flatMap((shape) =>
  [false, true].map((isDelayed) => {
    const { name, sizes, vec4s, weight, x, dy, step, utterances } = layerOf(shape);
    const delay = isDelayed ? utterances : 0;
    const counted = {
      weight,
      dy: dy.subarray(delay * sizes.outputs),
      x: x.subarray(0, (sizes.rows - delay) * sizes.inputs),
    };
    const { dWeight } = linearBackward(counted, { ...sizes, rows: sizes.rows - delay });
    // The last frame of what is delayed is read by nothing.
    const given = guarded(counted.x, (delay + 1) * sizes.inputs);
    const gradient = paddedRows(sizes.outputs + 1, shape.inputs, sizes.inputs, 36);
    return {
      name: `${name}${isDelayed ? ', delayed' : ''}`,
      overrides: { ...vec4s, is_delayed: Number(isDelayed), tile: 1 },
      buffers: { dy: guarded(dy, sizes.outputs), x: given, gradient, step },
      workgroups: [ceilDiv(vec4s.in_vec4s, 32), vec4s.out_vec4s, 1] as const,
      expected: { gradient: addedTo(gradient, dWeight) },
    };
  }),
);
describeKernel(kernels.weightGradient, weightGradients);
const tiled = (threads: number) =>
  alsoInAll(weightGradients.slice(-2), weightGradients.slice(0, -2)).map((each) => ({
    ...each,
    overrides: { ...each.overrides, tile: 2 },
    workgroups: [ceilDiv(each.overrides.in_vec4s, 2 * threads), ceilDiv(each.overrides.out_vec4s, 2), 1] as const,
  }));
describeKernel(kernels.weightGradientEights, tiled(8));
describeKernel(kernels.weightGradientQuads, tiled(4), { raced: [] });

describeKernel(
  kernels.biasGradient,
  SHAPES.map((shape) => {
    const { name, sizes, vec4s, weight, x, dy, step } = layerOf(shape);
    const gradient = paddedRows(1, shape.outputs, sizes.outputs + 4, 37);
    return {
      name,
      overrides: { out_vec4s: vec4s.out_vec4s },
      buffers: { dy: guarded(dy, sizes.outputs), gradient, step },
      workgroups: [vec4s.out_vec4s, 1, 1] as const,
      expected: { gradient: addedTo(gradient, linearBackward({ dy, x, weight }, sizes).dBias) },
    };
  }),
);
