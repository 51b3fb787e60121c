import * as kernels from '../../../src/training/kernels.generated.ts';
import { OPTIMIZERS } from '../../../src/training/optimizer-options.ts';
import { paddedRows, poison, randoms } from '../../support/random.ts';
import { averageAfter } from '../../training/twins/average.ts';
import { optimizerStep, type OptimizerState } from '../../training/twins/optimizer.ts';
import { ceilDiv, describeKernel, padded, words } from '../harness.ts';
import { overwritten } from './layouts.ts';

const BETAS = [0.9, 0.98] as const;
const [RATE, EPS, DECAY] = [0.01, 1e-4, 0.1];
/** Steps before this one. */
const TAKEN = 2;
const AVERAGE = { decay: 0.75 };

/** Words of optimizer_state.wgsl, of which the last may be an integer's. */
const STATE = Float32Array.of(1, 0, ...BETAS.map((beta) => 1 - beta ** (TAKEN + 1)), 0, 0, 0, 1 - AVERAGE.decay);
const RATES = Float32Array.of(RATE, ...BETAS, EPS, DECAY, 5, 1, 0, 0, 0, 0, 0);

/** Floats and integers of a struct, as words. */
const mixed = (...values: readonly (number | { word: number })[]) =>
  Uint32Array.from(values, (value) =>
    typeof value === 'number' ? new Uint32Array(Float32Array.of(value).buffer)[0] : value.word,
  );

interface Shape {
  name: string;
  /** Elements, and of the last vec4s none. */
  elements: number;
  scale: number;
}

const SHAPES: readonly Shape[] = [
  { name: 'a single number', elements: 1, scale: 0 },
  { name: '131 elements by a scale', elements: 131, scale: -0.7 },
];

const CASES = SHAPES.flatMap(({ name, elements, scale }) =>
  OPTIMIZERS.map((kind) => ({ name: `${kind}, ${name}`, kind, elements, scale })),
);

/** A step of the twin over w, with its moments behind it. */
function stepped(
  kind: (typeof OPTIMIZERS)[number],
  w: Float64Array,
  gradient: Float64Array,
  m: Float32Array,
  v: Float32Array,
) {
  const weights = new Map([['w', w]]);
  const moments = { m: Float64Array.from(m), v: Float64Array.from(v) };
  const state: OptimizerState = { taken: TAKEN, skipped: 0, moments: new Map([['w', moments]]) };
  optimizerStep(weights, new Map([['w', gradient]]), state, {
    ...{ kind, lr: RATE, betas: BETAS, eps: EPS, weightDecay: DECAY },
  });
  return { w, ...moments };
}

const rms = (values: ArrayLike<number>) => Math.hypot(...Array.from(values)) / Math.sqrt(values.length);

describeKernel(
  kernels.adamAveraged,
  CASES.map(({ name, kind, elements, scale }) => {
    const stride = padded(elements);
    const rows = (seed: number) => paddedRows(1, elements, stride, seed);
    const [value, gradient, first, average] = [1, 2, 3, 4].map(rows);
    const second = rows(5).map(Math.abs);
    const isScaled = scale !== 0;
    const [factor, next] = (isScaled ? [scale, scale + 0.25] : [0, 0]).map((s) => Math.fround(Math.exp(s)));
    const own = (values: Float32Array, by: number) => Float64Array.from(values.subarray(0, elements), (x) => x * by);
    const w = own(value, 1 / factor);
    const size = rms(w);
    const after = stepped(kind, w, own(gradient, factor), first.subarray(0, elements), second.subarray(0, elements));
    const weights = after.w.map((x) => x * next);
    return {
      name,
      overrides: { kind: OPTIMIZERS.indexOf(kind), is_scaled: Number(isScaled) },
      buffers: {
        ...{ value, gradient, first_moment: first, second_moment: second, average },
        totals: Float32Array.of(NaN, size, NaN, factor, next),
        parameters: mixed({ word: elements }, 1, NaN, { word: 1 }, { word: 0 }, { word: 0 }),
        ...{ state: STATE, rates: RATES, at: words(0, 0) },
      },
      workgroups: [ceilDiv(stride, 128) + 1, 1, 1],
      expected: {
        value: overwritten(value, weights),
        first_moment: overwritten(first, after.m),
        second_moment: overwritten(second, after.v),
        average: overwritten(average, averageAfter(average.subarray(0, elements), weights, TAKEN + 1, AVERAGE)),
      },
    };
  }),
);

/** Parameters, some of them scaled. */
const SCALED = [[true], [true, false, true], Array.from({ length: 37 }, (_, k) => k % 3 > 0)];

describeKernel(
  kernels.scaleStep,
  OPTIMIZERS.flatMap((kind) =>
    SCALED.map((isScaled) => {
      const count = isScaled.length;
      const [value, first, gradient] = [1, 2, 3].map((seed) => randoms(count, seed));
      // One that Eve keeps below 2.
      value[0] = 2;
      gradient[0] = -1;
      const second = randoms(count, 4).map(Math.abs);
      const scales = Float32Array.from(
        { length: 3 * count },
        (_, k) => [value, first, second][k % 3][Math.floor(k / 3)],
      );
      const totals = Float32Array.from({ length: 5 * count }, (_, k) =>
        k % 5 === 2 ? gradient[Math.floor(k / 5)] : NaN,
      );
      const expected = { scales: Float64Array.from(scales), totals: Float64Array.from(totals) };
      isScaled.forEach((has, k) => {
        if (has) {
          const one = (values: Float32Array) => values.slice(k, k + 1);
          const s = Float64Array.from(one(value));
          const after = stepped(kind, s, Float64Array.from(one(gradient)), one(first), one(second));
          expected.scales.set([after.w[0], after.m[0], after.v[0]], 3 * k);
          expected.totals[5 * k + 4] = Math.exp(after.w[0]);
        }
      });
      const table = isScaled.map((has) => mixed({ word: 9 }, NaN, 1, { word: Number(has) }, { word: 0 }, { word: 0 }));
      return {
        name: `${kind}, ${count} parameters`,
        overrides: { kind: OPTIMIZERS.indexOf(kind) },
        buffers: {
          totals,
          parameters: Uint32Array.from(table.flatMap((each) => [...each])),
          scales,
          state: STATE,
          rates: RATES,
        },
        workgroups: [ceilDiv(count, 32) + 1, 1, 1],
        expected,
      };
    }),
  ),
);

/** A parameter's sums of squares: elements in parts. */
interface Summed {
  elements: number;
  sums: number;
  scale?: number;
}

const SUMMED: readonly (readonly Summed[])[] = [
  [{ elements: 1, sums: 1 }],
  [
    { elements: 5, sums: 1, scale: 0.5 },
    { elements: 4000, sums: 41 },
    { elements: 300, sums: 3, scale: -2 },
  ],
];

describeKernel(
  kernels.totals,
  SUMMED.map((parameters) => {
    const sums: number[] = [];
    const table: number[] = [];
    const expected: number[] = [];
    parameters.forEach(({ elements, sums: count, scale }, k) => {
      const factor = Math.exp(Math.fround(scale ?? 0));
      table.push(
        ...mixed(
          { word: elements },
          1,
          1,
          { word: scale === undefined ? 0 : 1 },
          { word: sums.length / 4 },
          { word: count },
        ),
      );
      const parts = [1, 2, 3].map((seed) => randoms(count, 10 * k + seed));
      const [gradients, values, products] = parts.map((part) => part.reduce((sum, each) => sum + Math.abs(each), 0));
      for (let i = 0; i < count; i++) {
        sums.push(...parts.map((part) => Math.abs(part[i])), 0);
      }
      // A vec4 behind a parameter's sums, as bindings are aligned: nothing may read it.
      sums.push(NaN, NaN, NaN, NaN);
      const squares = scale === undefined ? gradients : gradients * factor ** 2 + products ** 2;
      expected.push(squares, Math.sqrt(values / elements) / factor, products, factor, factor);
    });
    return {
      name: `${parameters.length} parameters`,
      overrides: {},
      buffers: {
        sums: Float32Array.from(sums),
        parameters: Uint32Array.from(table),
        scales: Float32Array.from(parameters.flatMap(({ scale }) => [scale ?? 0, NaN, NaN])),
        totals: poison(expected.length),
      },
      workgroups: [parameters.length, 1, 1],
      expected: { totals: Float64Array.from(expected) },
    };
  }),
);
