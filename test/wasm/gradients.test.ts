import { describe, expect, it } from 'vitest';
import { expectClose } from '../support/close.ts';
import { paddedRows, randoms } from '../support/random.ts';
import { basicNormBackward } from '../training/twins/basic-norm.ts';
import { doubleSwishBackward } from '../training/twins/double-swish.ts';
import { lstm, lstmBackward } from '../training/twins/lstm.ts';
import { Bench, KERNEL_TOLERANCE, panels } from './harness.ts';

/** `n` rounded up as rows are. */
const padded = (n: number) => 8 * Math.ceil(n / 8);

const SIZES = [
  { rows: 1, width: 1 },
  { rows: 3, width: 50 },
  { rows: 70, width: 13 },
];

describe('panels and transpose', () => {
  it.each(SIZES)('lay $rows rows of $width out anew', async ({ rows, width: columns }) => {
    const width = padded(columns);
    const bench = await Bench.open();
    const values = randoms(rows * width, 1);
    const [x, inPanels, transposed] = [values, values, values].map((array) => bench.put(array));
    bench.kernels.panels(x, inPanels, rows, width);
    expect(bench.floats(inPanels, values.length)).toEqual(panels(values, rows, width));
    bench.kernels.transpose(x, transposed, rows, width);
    const expected = values.map((_, i) => values[(i % rows) * width + Math.floor(i / rows)]);
    expect(bench.floats(transposed, values.length)).toEqual(expected);
    bench.checkGuards();
  });
});

describe('columnSums', () => {
  it.each(SIZES)('adds $rows rows of $width to what is there', async ({ rows, width: columns }) => {
    const width = padded(columns);
    const bench = await Bench.open();
    const [values, before] = [randoms(rows * width, 1), randoms(width, 2)];
    const [x, sums] = [bench.put(values), bench.put(before)];
    bench.kernels.columnSums(x, sums, rows, width);
    const expected = Float64Array.from(before, (value, k) => {
      let sum = value;
      for (let row = 0; row < rows; row++) {
        sum += values[row * width + k];
      }
      return sum;
    });
    expectClose(bench.floats(sums, width), expected, KERNEL_TOLERANCE);
    bench.checkGuards();
  });
});

describe('doubleSwishGradient', () => {
  it('equals its float64 twin, far out too', async () => {
    const bench = await Bench.open();
    const values = Float32Array.of(...randoms(60, 1, 4), 0, 100, -100, 1);
    const given = randoms(values.length, 2);
    const [x, dy] = [bench.put(values), bench.put(given)];
    bench.kernels.doubleSwishGradient(x, dy, values.length);
    expectClose(bench.floats(dy, values.length), doubleSwishBackward({ dy: given, x: values }), KERNEL_TOLERANCE);
    bench.checkGuards();
  });
});

describe('basicNormGradient', () => {
  it.each(SIZES)('equals its float64 twin: $rows rows of $width', async ({ rows, width }) => {
    const stride = padded(width);
    const bench = await Bench.open();
    const [values, given] = [paddedRows(rows, width, stride, 1, 2), paddedRows(rows, width, stride, 2)];
    const [x, dy] = [bench.put(values), bench.put(given)];
    const eps = -1.5;
    const dEps = bench.kernels.basicNormGradient(x, dy, rows, width, stride, Math.exp(eps));
    const unpadded = (array: Float32Array) => array.filter((_, i) => i % stride < width);
    const twin = basicNormBackward({ dy: unpadded(given), x: unpadded(values), eps }, { rows, width });
    const dx = bench.floats(dy, values.length);
    expectClose(unpadded(dx), twin.dx, KERNEL_TOLERANCE);
    expectClose([dEps], [twin.dEps], KERNEL_TOLERANCE, 'eps');
    expect(dx.every((value, i) => i % stride < width || value === 0)).toBe(true);
    bench.checkGuards();
  });
});

describe('lstmCellGradient', () => {
  it.each(SIZES)('equals its float64 twin: $rows utterances, $width units', async ({ rows, width: hidden }) => {
    // Two frames of LSTMs without projection, whose recurrent weights are zero, so that z is what goes in.
    const [frames, stride] = [2, padded(hidden)];
    const sizes = { batch: rows, frames, width: 4 * hidden, hidden, proj: hidden };
    const z = randoms(rows * frames * 4 * hidden, 1, 3);
    const zeros = (length: number) => new Float64Array(length);
    const weightIh = zeros(16 * hidden * hidden).map((_, i) =>
      Math.floor(i / 4 / hidden) === i % (4 * hidden) ? 1 : 0,
    );
    const weights = {
      weightIh,
      weightHh: zeros(4 * hidden * hidden),
      biasIh: zeros(4 * hidden),
      biasHh: zeros(4 * hidden),
    };
    const saved = lstm({ x: z, ...weights }, sizes);
    const dout = randoms(rows * frames * hidden, 2);
    const expected = lstmBackward({ dout, x: z, saved, ...weights }, sizes);

    const bench = await Bench.open();
    /** A frame of all utterances, (rows, gates, hidden), padded. */
    const frameOf = (values: ArrayLike<number>, t: number, gates = 1) =>
      new Float32Array(rows * gates * stride).map((_, i) => {
        const [row, k] = [Math.floor(i / stride), i % stride];
        const [n, gate] = [Math.floor(row / gates), row % gates];
        return k < hidden ? values[((n * frames + t) * gates + gate) * hidden + k] : 0;
      });
    const count = rows * stride;
    const dc = bench.put(new Float32Array(count));
    const cells = [new Float32Array(count), frameOf(saved.c, 0), frameOf(saved.c, 1)].map((each) => bench.put(each));
    for (const t of [1, 0]) {
      const [gates, dm] = [bench.put(frameOf(z, t, 4)), bench.put(frameOf(dout, t))];
      bench.kernels.lstmCellGradient(gates, cells[t + 1], cells[t], dm, dc, rows, stride);
      expectClose(bench.floats(gates, 4 * count), frameOf(expected.dz, t, 4), KERNEL_TOLERANCE, `dz of frame ${t}`);
      expectClose(bench.floats(dc, count), frameOf(expected.dcBefore, t), KERNEL_TOLERANCE, `dc of frame ${t}`);
    }
    bench.checkGuards();
  });
});
