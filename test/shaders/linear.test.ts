import { describe, expect, it } from 'vitest';
import * as kernels from '../../src/gpu/kernels.generated.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, runOnGpu, withoutHalves, words } from './harness.ts';
import * as twins from './twins.ts';

/** Each with every tile, fitting or not. */
const CASES = [
  { rows: 1, inputs: 1, outputs: 1 },
  { rows: 1, inputs: 99, outputs: 50 },
  { rows: 3, inputs: 70, outputs: 17, doubleSwish: true },
  { rows: 5, inputs: 130, outputs: 133, accumulate: true },
  { rows: 17, inputs: 4, outputs: 8, doubleSwish: true, accumulate: true },
].flatMap((each, seed) =>
  WEIGHT_DTYPES.map((dtype) => {
    const { rows, inputs, outputs, ...then } = each;
    const [ins, outs] = [padded(inputs), padded(outputs)];
    const matrix = paddedRows(ins, outputs, outs, seed + 31, 1 / Math.sqrt(inputs));
    const packed = packWeights(
      matrix.map((value, i) => (i < inputs * outs ? value : 0)),
      ins,
      outs,
      dtype,
    );
    const buffers = {
      scale: packed.scale,
      bias: paddedRows(1, outputs, outs, seed + 32),
      x: paddedRows(rows, inputs, ins, seed + 33),
      y: 'accumulate' in then ? paddedRows(rows + 1, outputs, outs, seed + 34) : poison((rows + 1) * outs),
      step: words(1, rows),
    };
    const sizes = {
      in_vec4s: ins / 4,
      out_vec4s: outs / 4,
      double_swish: Number('doubleSwish' in then),
      accumulate: Number('accumulate' in then),
    };
    return {
      name: `${dtype}, ${rows} rows, ${inputs} to ${outputs}, ${JSON.stringify(then)}`,
      dtype,
      rows,
      packed,
      buffers,
      sizes,
      groups: outs / 4,
      expected: { y: twins.linear({ ...buffers, weight: packed.values }, rows, ins, outs, then) },
    };
  }),
);

const workgroups = (groups: number, size: number, rows: number, tile: number) =>
  [ceilDiv(groups, size), ceilDiv(rows, tile), 1] as const;

const inBuffers = (size: number, tiles: readonly number[], cases = CASES) =>
  cases.flatMap(({ name, rows, packed, buffers, sizes, groups, expected }) =>
    tiles.map((tile) => ({
      name: `tile ${tile}, ${name}`,
      overrides: { tile, weight_bits: packed.bits, ...sizes },
      buffers: { ...buffers, weight: packed.weight },
      workgroups: workgroups(groups, size, rows, tile),
      expected,
    })),
  );

describeKernel(kernels.linear, inBuffers(32, [1, 4, 16]));
describeKernel(kernels.linearSplit, inBuffers(8, [1, 4]));
describeKernel(
  ...withoutHalves(
    kernels.linearHalf,
    inBuffers(
      32,
      [1, 4],
      CASES.filter(({ dtype }) => dtype === 'f16'),
    ),
  ),
);

/** @param size vec4s of outputs of a workgroup */
const inTexels = (size: number) =>
  CASES.flatMap(({ name, dtype, rows, packed, buffers, sizes, groups, expected }) =>
    [1, 4, 8].map((tile) => ({
      name: `tile ${tile}, ${name}`,
      overrides: { tile, int8: Number(dtype === 'int8'), ...sizes },
      buffers: { ...buffers, weight: packed.texels },
      workgroups: workgroups(groups, size, rows, tile),
      expected,
    })),
  );

describeKernel(kernels.linearTexels, inTexels(16));
describeKernel(kernels.linearQuads, inTexels(8));

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
      overrides: { tile: 1, int8: 0, in_vec4s: 16, out_vec4s: outputs / 4, double_swish: 0, accumulate: 0 },
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
