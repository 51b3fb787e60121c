import { describe, expect, it } from 'vitest';
import { expectClose, expectSameBytes } from '../support/close.ts';
import { poison, randoms } from '../support/random.ts';
import { Bench, KERNEL_TOLERANCE, pairPanels, panels } from './harness.ts';
import * as twins from './twins.ts';

const PRODUCTS = [1, 2, 3, 4, 7, 8].flatMap((rows) =>
  [
    [1, 8],
    [70, 8],
    [129, 16],
    [50, 40],
  ].map(([inputs, outputs]) => ({ rows, inputs, outputs })),
);

describe('linear', () => {
  it.each(PRODUCTS)('equals its float64 twin: $rows rows, $inputs to $outputs', async ({ rows, inputs, outputs }) => {
    const weight = randoms(inputs * outputs, 1);
    const [bias, x, start] = [randoms(outputs, 2), randoms(rows * inputs, 3), randoms(rows * outputs, 4)];
    for (const accumulate of [false, true]) {
      for (const far of [false, true]) {
        const bench = await Bench.open();
        const y = bench.put(accumulate ? start : poison(start.length));
        const given = [bench.put(panels(weight, inputs, outputs)), bench.put(bias), bench.put(x)] as const;
        bench.kernels.linear(...given, y, rows, inputs, outputs, accumulate, far);
        const expected = twins.linear({ weight, bias, x, y: start }, rows, inputs, outputs, { accumulate });
        expectClose(bench.floats(y, start.length), expected, KERNEL_TOLERANCE);
        bench.checkGuards();
      }
    }
  });
});

describe('linearInt8', () => {
  /** Whole numbers as large as they come: sums of blocks are exact, however wide a row is. */
  const full = (length: number, largest: number, seed: number) =>
    Array.from(randoms(length, seed), (value) => Math.round(largest * Math.sign(value) * Math.sqrt(Math.abs(value))));

  it.each([
    ...PRODUCTS.map((product) => ({ ...product, inputs: 4 * Math.ceil(product.inputs / 4) })),
    { rows: 5, inputs: 2432, outputs: 24 },
  ])('equals its float64 twin: $rows rows, $inputs to $outputs', async ({ rows, inputs, outputs }) => {
    const numbers = Int8Array.from(full(inputs * outputs, 127, 1));
    const given = Int16Array.from(full(rows * inputs, 32767, 2));
    const [scale, xScale] = [randoms(outputs, 3, 1e-2), randoms(rows, 4, 1e-3)];
    const [bias, start] = [randoms(outputs, 5), randoms(rows * outputs, 6)];
    const weight = Float64Array.from(numbers, (value, i) => value * scale[i % outputs]);
    const x = Float64Array.from(given, (value, i) => value * xScale[Math.floor(i / inputs)]);
    // Four roundings of a float on the way, of sums that reach 1e4.
    const tolerance = { absolute: 4e-3, relative: 4e-7 };
    for (const accumulate of [false, true]) {
      const bench = await Bench.open();
      const y = bench.put(accumulate ? start : poison(start.length));
      const matrix = [bench.put(pairPanels(numbers, inputs, outputs)), bench.put(scale), bench.put(bias)] as const;
      const rowsIn = [bench.put(given), bench.put(xScale)] as const;
      bench.kernels.linearInt8(...matrix, ...rowsIn, y, rows, inputs, outputs, accumulate, true);
      const expected = twins.linear({ weight, bias, x, y: start }, rows, inputs, outputs, { accumulate });
      expectClose(bench.floats(y, start.length), expected, tolerance);
      bench.checkGuards();
    }
  });

  it('has sums that are exact in a whole block of the largest numbers, all of one sign', async () => {
    const [inputs, outputs] = [512, 8];
    const bench = await Bench.open();
    const matrix = [new Int8Array(inputs * outputs).fill(-127), new Float32Array(8).fill(1), new Float32Array(8)];
    const [weight, scale, bias] = matrix.map((values) => bench.put(values));
    const [x, xScale] = [new Int16Array(inputs).fill(32767), Float32Array.of(1)].map((values) => bench.put(values));
    const y = bench.put(poison(outputs));
    bench.kernels.linearInt8(weight, scale, bias, x, xScale, y, 1, inputs, outputs, false, false);
    expect([...bench.floats(y, outputs)]).toEqual(Array(outputs).fill(Math.fround(-127 * 32767 * inputs)));
  });
});

describe('a row of a product has the same bytes', () => {
  const [rows, inputs, outputs] = [7, 772, 24];

  /** The rows, so many at a time. */
  async function inParts(together: number, isInt8: boolean): Promise<Float32Array> {
    const bench = await Bench.open();
    const { kernels } = bench;
    const y = bench.put(poison(rows * outputs));
    const bias = bench.put(randoms(outputs, 1));
    const scale = bench.put(randoms(outputs, 2));
    const weight = isInt8
      ? bench.put(Int8Array.from(randoms(inputs * outputs, 3, 127)))
      : bench.put(randoms(inputs * outputs, 3));
    const x = isInt8
      ? bench.put(Int16Array.from(randoms(rows * inputs, 4, 32767)))
      : bench.put(randoms(rows * inputs, 4));
    const xScale = bench.put(randoms(rows, 5));
    for (let row = 0; row < rows; row += together) {
      const count = Math.min(together, rows - row);
      const to = y + 4 * row * outputs;
      if (isInt8) {
        const from = [x + 2 * row * inputs, xScale + 4 * row] as const;
        kernels.linearInt8(weight, scale, bias, ...from, to, count, inputs, outputs, false, row % 2 === 0);
      } else {
        kernels.linear(weight, bias, x + 4 * row * inputs, to, count, inputs, outputs, false, row % 2 === 0);
      }
    }
    return bench.floats(y, rows * outputs);
  }

  it.each([false, true])('however many are with it; int8: %s', async (isInt8) => {
    const alone = await inParts(1, isInt8);
    for (const together of [2, 3, 4, 7]) {
      expectSameBytes(await inParts(together, isInt8), alone, `${together} together`);
    }
  });
});

describe('conv', () => {
  it.each<twins.ConvSizes>([
    { times: 1, freqs: 3, channels: 1, outputs: 8, stride: 1 },
    { times: 3, freqs: 10, channels: 1, outputs: 8, stride: 1 },
    { times: 2, freqs: 17, channels: 8, outputs: 16, stride: 2 },
    { times: 5, freqs: 12, channels: 40, outputs: 24, stride: 2 },
  ])('equals its float64 twin: %o', async (sizes) => {
    const { times, freqs, channels, outputs, stride } = sizes;
    const outFreqs = twins.outFreqsOf(sizes);
    const inputs = 9 * channels;
    const [weight, bias] = [randoms(inputs * outputs, 1), randoms(outputs, 2)];
    const x = randoms((stride * (times - 1) + 3) * freqs * channels, 3);
    const bench = await Bench.open();
    const y = bench.put(poison(times * outFreqs * outputs));
    const given = [bench.put(panels(weight, inputs, outputs)), bench.put(bias), bench.put(x)] as const;
    bench.kernels.conv(...given, y, times, freqs, channels, outFreqs, outputs, stride);
    const expected = twins.conv({ weight, bias, x }, sizes);
    expectClose(bench.floats(y, expected.length), expected, KERNEL_TOLERANCE);
    bench.checkGuards();
  });
});
