import { describe, expect, it } from 'vitest';
import type { WeightDtype } from '../../src/model/dtypes.ts';
import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, describeSameBytes, padded, runOnGpu, words } from './harness.ts';
import * as twins from './twins.ts';

interface Shape {
  rows: number;
  inputs: number;
  outputs: number;
  dtype?: WeightDtype;
  then?: { doubleSwish?: boolean; accumulate?: boolean };
}

const workgroups = (outVec4s: number, size: number, rows: number, tile: number) =>
  [ceilDiv(outVec4s, size), ceilDiv(rows, tile), 1] as const;

/** A case for each way to keep the matrix, and for each tile, fitting or not. */
function linearCase({ rows, inputs, outputs, dtype = 'f32', then = {} }: Shape) {
  const [ins, outs] = [padded(inputs), padded(outputs)];
  const matrix = paddedRows(ins, outputs, outs, 31, 1 / Math.sqrt(inputs));
  const packed = packWeights(
    matrix.map((value, i) => (i < inputs * outs ? value : 0)),
    ins,
    outs,
    dtype,
  );
  const buffers = {
    scale: packed.scale,
    bias: paddedRows(1, outputs, outs, 32),
    x: paddedRows(rows, inputs, ins, 33),
    y: then.accumulate ? paddedRows(rows + 1, outputs, outs, 34) : poison((rows + 1) * outs),
    step: words(1, rows),
  };
  const expected = { y: twins.linear({ ...buffers, weight: packed.values }, rows, ins, outs, then) };
  const ofTile = (tile: number, size: number) => ({
    name: `tile ${tile}, ${dtype}, ${rows} rows, ${inputs} to ${outputs}, ${JSON.stringify(then)}`,
    overrides: {
      tile,
      weight_bits: packed.bits,
      in_vec4s: ins / 4,
      out_vec4s: outs / 4,
      is_swished: Number(then.doubleSwish ?? false),
      accumulate: Number(then.accumulate ?? false),
    },
    workgroups: workgroups(outs / 4, size, rows, tile),
    expected,
  });
  return {
    /** @param size vec4s of outputs of a workgroup */
    inBuffers: (size: number, tiles: readonly number[]) =>
      tiles.map((tile) => ({ ...ofTile(tile, size), buffers: { ...buffers, weight: packed.weight } })),
    inTexels: (size: number, tiles: readonly number[] = [1, 4, 8]) =>
      tiles.map((tile) => ({ ...ofTile(tile, size), buffers: { ...buffers, weight: packed.texels } })),
  };
}

const smallest = linearCase({ rows: 1, inputs: 1, outputs: 1 });
/** More blocks of inputs than the threads of `split` have parts, rows that fill no tile. */
const odd = linearCase({ rows: 21, inputs: 530, outputs: 133, then: { doubleSwish: true, accumulate: true } });
const packed = (['f16', 'int8'] as const).map((dtype) => linearCase({ rows: 5, inputs: 70, outputs: 17, dtype }));

describeKernel(kernels.linear, [
  ...smallest.inBuffers(32, [1, 4, 16]),
  ...odd.inBuffers(32, [1, 4, 16]),
  ...packed.flatMap(({ inBuffers }) => inBuffers(32, [4])),
]);
describeKernel(kernels.linearSplit, [...smallest.inBuffers(8, [1, 4]), ...odd.inBuffers(8, [1, 4])], {
  // Workgroup memory is written anew only where there are so many inputs.
  raced: linearCase({ rows: 2, inputs: 530, outputs: 5 }).inBuffers(8, [1, 4]),
});
describeKernel(kernels.linearTexels, [
  ...smallest.inTexels(16),
  ...odd.inTexels(16),
  ...packed.flatMap(({ inTexels }) => inTexels(16, [4])),
]);
describeKernel(kernels.linearQuads, [...smallest.inTexels(8), ...odd.inTexels(8)]);

const another = linearCase({ rows: 17, inputs: 99, outputs: 50, dtype: 'int8' });
describeSameBytes(
  [kernels.linear, another.inBuffers(32, [1])[0]],
  [
    [kernels.linear, another.inBuffers(32, [4, 16])],
    [kernels.linearSplit, another.inBuffers(8, [1, 4])],
    [kernels.linearTexels, another.inTexels(16)],
    [kernels.linearQuads, another.inTexels(8)],
  ],
);

/** As many rows as a texture has by WebGPU's default limits, but for one: 8192 divides places without rounding them. */
const TALL = 8191;

describe('weights in a tall texture', () => {
  it.each([
    { source: kernels.linearTexels, size: 16 },
    { source: kernels.linearQuads, size: 8 },
  ])('are read from the middle of each of its rows: $source.name', async ({ source, size }) => {
    // Weights that tell their outputs, for the last of 64 inputs: the places of one row are the hardest to tell apart there.
    const [inputs, outputs] = [64, 32 * TALL];
    const expected = Float64Array.from({ length: outputs }, (_, o) => o);
    const texels = new Float32Array(inputs * outputs);
    expected.forEach((value, o) => (texels[Math.floor(o / 32) * 2048 + 63 * 32 + (o % 32)] = value));
    const x = new Float32Array(inputs);
    x[63] = 1;
    const { y } = await runOnGpu(source, {
      name: 'tall',
      overrides: { tile: 1, weight_bits: 32, in_vec4s: 16, out_vec4s: outputs / 4, is_swished: 0, accumulate: 0 },
      buffers: {
        weight: { texels, format: 'rgba32float', size: [512, TALL] },
        scale: new Float32Array(4),
        bias: new Float32Array(outputs),
        x,
        y: poison(outputs),
        step: words(1, 1),
      },
      workgroups: workgroups(outputs / 4, size, 1, 1),
      expected: { y: expected },
    });
    expect(y.findIndex((value, o) => value !== expected[o])).toBe(-1);
  });
});
