import { describe, expect, it } from 'vitest';
import { moduleBytes } from '../../src/wasm/kernels.ts';
import { expectClose } from '../support/close.ts';
import { paddedRows, poison, randoms } from '../support/random.ts';
import { Bench, KERNEL_TOLERANCE } from './harness.ts';
import * as twins from './twins.ts';

/** `n` rounded up as rows are. */
const padded = (n: number) => 8 * Math.ceil(n / 8);

const SIZES = [
  { rows: 1, width: 1 },
  { rows: 3, width: 50 },
  { rows: 2, width: 131 },
];

describe('add', () => {
  it('adds', async () => {
    const bench = await Bench.open();
    const [a, b] = [randoms(12, 1), randoms(12, 2)];
    const [x, y] = [bench.put(a), bench.put(b)];
    bench.kernels.add(x, y, 12);
    expect(bench.floats(y, 12)).toEqual(b.map((value, i) => value + a[i]));
    bench.checkGuards();
  });
});

describe('doubleSwish', () => {
  it('equals its float64 twin, far out too', async () => {
    const bench = await Bench.open();
    const values = Float32Array.of(...randoms(60, 1, 4), 0, 100, -100, 1e30);
    const x = bench.put(values);
    bench.kernels.doubleSwish(x, values.length);
    const expected = Float64Array.from(values, twins.doubleSwish);
    expectClose(bench.floats(x, values.length), expected, KERNEL_TOLERANCE);
    bench.checkGuards();
  });
});

describe('lstmCell', () => {
  it.each(SIZES)('equals its float64 twin: $rows rows of $width', async ({ rows, width }) => {
    const hidden = padded(width);
    const bench = await Bench.open();
    const [gates, cells] = [paddedRows(4 * rows, width, hidden, 1, 12), paddedRows(rows, width, hidden, 2, 12)];
    const [at, c, m] = [bench.put(gates), bench.put(cells), bench.put(poison(cells.length))];
    bench.kernels.lstmCell(at, c, m, rows, hidden);
    const expected = twins.lstmCell(gates, cells, hidden);
    expectClose(bench.floats(c, cells.length), expected.c, KERNEL_TOLERANCE, 'c');
    expectClose(bench.floats(m, cells.length), expected.m, KERNEL_TOLERANCE, 'm');
    // Padding stays zero.
    expect(
      bench
        .floats(c, hidden)
        .slice(width)
        .every((value) => value === 0),
    ).toBe(true);
    bench.checkGuards();
  });
});

describe('basicNorm', () => {
  it.each(SIZES)('equals its float64 twin: $rows rows of $width', async ({ rows, width }) => {
    const stride = padded(width);
    const bench = await Bench.open();
    const values = paddedRows(rows, width, stride, 1, 2);
    const x = bench.put(values);
    bench.kernels.basicNorm(x, rows, width, stride, 0.25);
    expectClose(bench.floats(x, values.length), twins.basicNorm(values, width, stride, 0.25), KERNEL_TOLERANCE);
    bench.checkGuards();
  });
});

describe('quantizeRows', () => {
  it.each([1, 1e-6, 1e30])('gives the nearest whole numbers of values up to %d', async (scale) => {
    const [rows, width] = [3, 72];
    const bench = await Bench.open();
    const values = randoms(rows * width, 1, scale);
    const [x, quantized, scales] = [
      bench.put(values),
      bench.put(new Int16Array(rows * width)),
      bench.put(poison(rows)),
    ];
    bench.kernels.quantizeRows(x, quantized, scales, rows, width);
    const expected = twins.quantizeRows(values, width);
    expectClose(bench.floats(scales, rows), expected.scale, { absolute: 0, relative: 2e-7 }, 'scale');
    const numbers = bench.shorts(quantized, rows * width);
    // Half a number, and what float32 rounds of up to 32767.
    expectClose(numbers, expected.quantized, { absolute: 0.505, relative: 0 }, 'quantized');
    expect(Math.max(...numbers.map(Math.abs))).toBe(32767);
    bench.checkGuards();
  });

  it('takes a row of zeros, or of next to nothing, for zero', async () => {
    const bench = await Bench.open();
    const values = Float32Array.from({ length: 16 }, (_, i) => (i < 8 ? 0 : 1e-40));
    const [x, quantized, scales] = [bench.put(values), bench.put(new Int16Array(16).fill(7)), bench.put(poison(2))];
    bench.kernels.quantizeRows(x, quantized, scales, 2, 8);
    expect([...bench.shorts(quantized, 16), ...bench.floats(scales, 2)]).toEqual(Array(18).fill(0));
  });
});

describe('the ends of the CTC head', () => {
  const BLANK = 0;

  it.each(SIZES)('logSoftmax equals its float64 twin: $rows rows of $width', async ({ rows, width }) => {
    const stride = padded(width);
    const bench = await Bench.open();
    // What is beyond the width may be anything.
    const values = randoms(rows * stride, 1, 20).map((value, i) => (i % stride < width ? value : 90));
    const x = bench.put(values);
    bench.kernels.logSoftmax(x, rows, width, stride);
    for (let row = 0; row < rows; row++) {
      const expected = twins.logSoftmax(values.subarray(row * stride), width);
      expectClose(bench.floats(x + 4 * row * stride, width), expected, KERNEL_TOLERANCE, `row ${row}`);
    }
    bench.checkGuards();
  });

  it.each(SIZES.flatMap((size) => [0, 5].map((blankPenalty) => ({ ...size, blankPenalty }))))(
    'ctcPick chooses as its float64 twin: $rows rows of $width, blank penalty $blankPenalty',
    async ({ rows, width, blankPenalty }) => {
      const stride = padded(width);
      const bench = await Bench.open();
      const values = randoms(rows * stride, 2, 20).map((value, i) => (i % stride < width ? value : 90));
      // The blank would win, and of two equal tokens the first does.
      for (let row = 0; row < rows && width > 9; row++) {
        values[row * stride + BLANK] = 22;
        values[row * stride + 9] = values[row * stride + 4] = 21;
      }
      const [logits, picked] = [bench.put(values), bench.put(poison(2 * rows))];
      bench.kernels.ctcPick(logits, picked, rows, width, stride, BLANK, blankPenalty);
      const expected = Array.from({ length: rows }, (_, row) => {
        const token = width > 9 && blankPenalty > 0 ? 4 : BLANK;
        return [token, twins.logSoftmax(values.subarray(row * stride), width)[token]];
      });
      expectClose(bench.floats(picked, 2 * rows), expected.flat(), KERNEL_TOLERANCE, 'picked');
      bench.checkGuards();
    },
  );
});

it('peak counts what it says', async () => {
  const { kernels } = await Bench.open();
  // Twelve sums that start at a half and go to one.
  expect(kernels.peak(0)).toBe(24);
  expect(kernels.peak(100)).toBeCloseTo(48, 4);
});

it('the module runs on memory that threads share, too', async () => {
  const pages = { initial: 1, maximum: 65536 };
  const shared = new WebAssembly.Memory({ ...pages, shared: true });
  const { instance } = await WebAssembly.instantiate(moduleBytes({ shared: true }), { env: { memory: shared } });
  expect(Object.keys(instance.exports)).toContain('linear');
  // Each module takes its own kind of memory only.
  await expect(WebAssembly.instantiate(moduleBytes(), { env: { memory: shared } })).rejects.toThrow(/shared/);
});
