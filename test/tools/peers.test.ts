import { describe, expect, it } from 'vitest';
import { expectedTensors, subsampledFreqs, type EncoderSizes } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import { tableOf, type Row } from '../../tools/engines/engine-table.ts';
import type { Create } from '../../tools/peers/contenders.ts';
import { ratios, stepSections } from '../../tools/peers/report.ts';
import { multiplications, sizeName, windows } from '../../tools/peers/step-size.ts';
import { compareAt, largestDifference, type Competitor } from '../../tools/peers/turns.ts';
import { randomModel } from '../../tools/runtime/random-model.ts';

const SMALL = { dModel: 8, rnnHiddenSize: 12, dimFeedforward: 20, numEncoderLayers: 2 };
const sizesOf = (hasProjection: boolean): EncoderSizes => ({
  ...SMALL,
  rnnHiddenSize: hasProjection ? SMALL.rnnHiddenSize : SMALL.dModel,
  numFeatures: 80,
  channels: [8, 32, 128],
  hasProjection,
});
const timing = (medianMs: number, p10Ms: number) => ({ steps: 9, medianMs, p10Ms, p90Ms: 2 * medianMs });

describe('what goes into a step', () => {
  it.each([true, false])('multiplies each weight once for each place that it is used at (projection: %s)', (has) => {
    const sizes = sizesOf(has);
    // Every matrix is used once a frame; a convolution's weights once for each time and frequency of its output.
    const [f0, f3, f6] = subsampledFreqs(80);
    const frames = 4;
    const uses: Readonly<Record<string, number>> = { 'conv.0': 19 * f0, 'conv.3': 9 * f3, 'conv.6': frames * f6 };
    const tensors = [...expectedTensors({ encoder: sizes, hasCtc: false })].filter(([, shape]) => shape.length > 1);
    const expected = tensors.reduce((sum, [name, shape]) => {
      const conv = Object.keys(uses).find((part) => name.includes(part));
      return sum + elementCount(shape) * (conv === undefined ? frames : uses[conv]);
    }, 0);
    expect(tensors.length).toBeGreaterThan(10);
    expect(multiplications(sizes, frames)).toBe(expected);
  });

  it('gives each stream windows that overlap by the left context', () => {
    const next = windows(3, { streams: 2, frames: 1 });
    const [first, second] = [next(), next()];
    const row = 9 * 3;
    for (const start of [0, row]) {
      expect(second.subarray(start, start + 15)).toEqual(first.subarray(start + 12, start + row));
      expect(second.subarray(start + 15, start + row)).not.toEqual(first.subarray(start + 15, start + row));
    }
    expect(first.subarray(0, row)).not.toEqual(first.subarray(row));
    expect(sizeName({ streams: 32, frames: 1 })).toBe('32 streams × 1 frame');
  });
});

describe('taking turns', () => {
  const made =
    (value: number, error?: string): Create =>
    async () =>
    async () => ({
      step: async () => {
        if (error !== undefined) {
          throw new Error(error);
        }
        return Float32Array.of(1, value);
      },
      dispose: async () => undefined,
    });
  const competitor = (name: string, create: Create): Competitor => ({ name, create, tolerance: 0.1 });
  const settings = { rounds: 1, reportsLate: false, onRound: async () => undefined };
  const model = randomModel(SMALL);
  const size = { streams: 1, frames: 1 };

  it('times who gives the same, and nobody else', async () => {
    const competitors = [
      competitor('own', made(2)),
      competitor('near', made(2.0625)),
      competitor('far', made(2.125)),
      competitor('none', made(NaN)),
      competitor('broken', made(2, 'no memory')),
    ];
    const figures = await compareAt(model, size, competitors, settings);
    expect(figures.map(({ name, problem, largestDifference: d }) => [name, problem, d])).toEqual([
      ['own', undefined, 0],
      ['near', undefined, 0.0625],
      ['far', 'wrong output', 0.125],
      ['none', 'wrong output', NaN],
      ['broken', 'no memory', undefined],
    ]);
    expect(figures.map(({ times }) => (times?.steps ?? 0) > 0)).toEqual([true, true, false, false, false]);
  });

  it('ends where Rill itself fails', async () => {
    const competitors = [competitor('own', made(2, 'no memory'))];
    await expect(compareAt(model, size, competitors, settings)).rejects.toThrow('no memory');
  });

  it('takes a missing value for a difference', () => {
    expect(largestDifference([Float32Array.of(1)], [Float32Array.of(1, 2)])).toBeNaN();
  });
});

describe('tables', () => {
  it('tell times as multiples of the yardstick’s, and how near the limit is', () => {
    const sizes = sizesOf(true);
    const [section] = stepSections(
      {
        sizes,
        versions: {},
        steps: [
          {
            size: { streams: 2, frames: 1 },
            figures: [
              { name: 'Rill, CPU, f32', largestDifference: 0, times: { ...timing(1, 0.5), realTimeFactor: 0.0125 } },
              { name: 'other', largestDifference: 1e-6, times: { ...timing(2, 2), realTimeFactor: 0.025 } },
              { name: 'wrong', problem: 'wrong output' },
            ],
            // Twice what the step reaches, in GFLOP/s.
            peaks: [(4 * 2 * multiplications(sizes, 1)) / 1e6],
          },
        ],
      },
      'other',
    );
    expect(section.rows.slice(1).map((row) => row.slice(4, 6))).toEqual([
      ['0.50', '0.25'],
      ['1.00', '1.00'],
      ['–', '–'],
    ]);
    expect(section.below[0]).toBe('wrong: wrong output');
    expect(section.below[1]).toMatch(/ 50 % \(of p10 and the peaks’ p90: .* 100 %\)/);
    expect(ratios(timing(1, 1), undefined)).toEqual(['–', '–']);
  });

  it('mark the fastest engine of each model, and say who did not run', () => {
    const streams = (ms: number) => [
      { streams: 1, inputFramesPerSecond: 1, keepsUp: true, memory: {}, ...timing(ms, ms) },
    ];
    const row = (model: string, name: string, ms?: number): Row => ({
      ...({ runtime: 'chrome', device: 'webgpu', dtype: 'f32' } as const),
      model,
      name,
      ...(ms !== undefined && { output: { streams: streams(ms), exact: ms < 5 } }),
    });
    const rows = tableOf([row('a', 'x', 3), row('b', 'x', 7), row('a', 'y', 2), row('b', 'no adapter')], [1]);
    expect(rows).toEqual([
      ['', '1 stream', 'exact'],
      ['a: WebGPU (x), f32, chrome', '3.00 (3.00)', 'yes'],
      ['a: WebGPU (y), f32, chrome', '2.00 (2.00) *', 'yes'],
      ['b: WebGPU (x), f32, chrome', '7.00 (7.00) *', 'NO'],
      ['b: WebGPU (no adapter), f32, chrome', '–', '–'],
    ]);
  });
});
