import * as kernels from '../../src/gpu/kernels.generated.ts';
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
    const values = randoms(4 * 4 * 32 * 2, 61);
    const sums = new Float64Array(4 * 32);
    values.forEach((value, i) => (sums[i % sums.length] += value));
    return {
      name: '32 threads',
      overrides: { threads: 32 },
      buffers: { values, sums: new Float32Array(sums.length).fill(NaN) },
      workgroups: [1, 1, 1] as const,
      expected: { sums },
    };
  })(),
]);
