import * as kernels from '../../src/gpu/kernels.generated.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { packWeights } from '../support/packed.ts';
import { paddedRows, poison } from '../support/random.ts';
import { ceilDiv, describeKernel, padded, withoutHalves, words } from './harness.ts';
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
