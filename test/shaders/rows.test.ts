import * as kernels from '../../src/webgpu/kernels.generated.ts';
import { paddedRows, randoms } from '../support/random.ts';
import { describeKernel, padded, words } from './harness.ts';
import * as twins from './twins.ts';

const SIZES = [
  { rows: 1, width: 1 },
  { rows: 3, width: 50 },
  { rows: 2, width: 131 },
];

const NORM_CASES = SIZES.map(({ rows, width }, seed) => {
  const buffers = {
    eps: Float32Array.of(0.25),
    // One row more than the kernel owns.
    x: paddedRows(rows + 1, width, padded(width), seed + 41, 2),
    step: words(1, rows),
  };
  return {
    name: `${rows} rows of ${width}`,
    overrides: { width },
    buffers,
    workgroups: [rows + 1, 1, 1] as const,
    expected: { x: twins.basicNorm(buffers, rows, width) },
  };
});

describeKernel(kernels.basicNorm, NORM_CASES);
describeKernel(kernels.basicNormQuad, NORM_CASES);

describeKernel(
  kernels.logSoftmax,
  SIZES.map(({ rows, width }, seed) => {
    const buffers = { x: randoms((rows + 1) * padded(width), seed + 51, 20), step: words(rows, 1) };
    return {
      name: `${rows} rows of ${width}`,
      overrides: { width },
      buffers,
      workgroups: [rows + 1, 1, 1] as const,
      expected: { x: twins.logSoftmax(buffers, rows, width) },
    };
  }),
);

describeKernel(kernels.readBandwidth, [
  (() => {
    const [parts, partVec4s] = [2, 256];
    const values = randoms(4 * parts * partVec4s, 61);
    const sums = new Float64Array(4 * parts * 32);
    values.forEach((value, i) => (sums[Math.floor(i / 4 / partVec4s) * 128 + (i % 128)] += value));
    return {
      name: `${parts} parts of ${partVec4s} vec4s`,
      overrides: { part_vec4s: partVec4s },
      buffers: { values, sums: new Float32Array(sums.length).fill(NaN) },
      workgroups: [parts, 1, 1] as const,
      expected: { sums },
    };
  })(),
]);

describeKernel(kernels.readBandwidthTexels, [
  (() => {
    const rows = 3;
    const texels = randoms(4 * rows * 512, 62);
    const sums = new Float64Array(4 * rows * 4);
    texels.forEach((value, i) => (sums[Math.floor(i / 2048) * 16 + (i % 16)] += value));
    return {
      name: `${rows} rows`,
      overrides: {},
      buffers: {
        values: { texels, format: 'rgba32float', size: [512, rows] as const },
        sums: new Float32Array(sums.length).fill(NaN),
      },
      workgroups: [rows, 1, 1] as const,
      expected: { sums },
    };
  })(),
]);
