/** The tables of a comparison. */
import type { EncoderSizes } from '../../src/model/sizes.ts';
import { percentile, type Timing } from '../runtime/statistics.ts';
import { megabytes, type Rows } from '../terminal.ts';
import type { Comparison } from './compare.ts';
import type { HeardFigures } from './end-to-end.ts';
import { NAMES } from './lineup.ts';
import type { StageFigures, Stages } from './stages.ts';
import { multiplications, sizeName, type StepSize } from './step-size.ts';

/** A table under its title, and what is to be said below it. */
export interface Section {
  title: string;
  rows: Rows;
  below: readonly string[];
}

const ms = (value: number) => value.toFixed(value < 1 ? 3 : 2);
const timeCells = ({ medianMs, p10Ms, p90Ms }: Timing) => [medianMs, p10Ms, p90Ms].map(ms);

/** The times of one as multiples of another's: of the medians, and of the tenths, which a busy machine moves less. */
export function ratios(times: Timing | undefined, yardstick: Timing | undefined): string[] {
  return times && yardstick
    ? [times.medianMs / yardstick.medianMs, times.p10Ms / yardstick.p10Ms].map((ratio) => ratio.toFixed(2))
    : ['–', '–'];
}

/** One table for each size of step. */
export function stepSections({ sizes, steps }: Comparison, yardstick: string): Section[] {
  return steps.map(({ size, figures, peaks }) => {
    const base = figures.find(({ name }) => name === yardstick)?.times;
    const rows = figures.map(({ name, times, largestDifference }) => [
      name,
      ...(times ? timeCells(times) : ['–', '–', '–']),
      ...ratios(times, base),
      times?.realTimeFactor.toFixed(4) ?? '–',
      largestDifference?.toExponential(1) ?? '–',
      String(times?.steps ?? '–'),
    ]);
    const own = figures.find(({ name }) => name === NAMES['rill-f32'])?.times;
    return {
      title: `${sizeName(size)}, beside ${yardstick}`,
      rows: [['', 'median ms', 'p10', 'p90', 'ratio', 'of p10', 'RTF', 'difference', 'steps'], ...rows],
      below: [
        ...figures.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
        ...(own && peaks.length > 0 ? [limitLine(size, sizes, own, peaks)] : []),
      ],
    };
  });
}

/** How near Rill comes to what a core could do. */
function limitLine({ streams, frames }: StepSize, sizes: EncoderSizes, own: Timing, peaks: readonly number[]): string {
  const flops = 2 * streams * multiplications(sizes, frames);
  const [typical, best] = [percentile(peaks, 0.5), percentile(peaks, 0.9)];
  const share = (stepMs: number, peak: number) => {
    const reached = flops / stepMs / 1e6;
    return `${reached.toFixed(1)} of ${peak.toFixed(1)} GFLOP/s, ${((100 * reached) / peak).toFixed(0)} %`;
  };
  return (
    `f32x4 multiply and add from registers, one core: Rill’s f32 reaches ${share(own.medianMs, typical)}` +
    ` (of p10 and the peaks’ p90: ${share(own.p10Ms, best)})`
  );
}

export interface LoadFigures {
  name: string;
  /** Of each fresh page or process. */
  loadMs: number[];
  memory: Readonly<Record<string, number>>;
  /** Bytes that the process has grown by, where that can be told. */
  rss?: number[];
}

export function loadSection(title: string, loads: readonly LoadFigures[]): Section {
  const rows = loads.map(({ name, loadMs, memory, rss }) => {
    const bytes = Object.values(memory).reduce((sum, each) => sum + each, 0);
    const parts = Object.entries(memory).map(([part, each]) => `${part} ${megabytes(each)}`);
    return [
      name,
      loadMs.length > 0 ? percentile(loadMs, 0.5).toFixed(0) : '–',
      loadMs.length > 0 ? Math.max(...loadMs).toFixed(0) : '–',
      bytes > 0 ? megabytes(bytes) : '–',
      rss ? megabytes(percentile(rss, 0.5)) : '–',
      parts.join(', ') || '–',
    ];
  });
  return { title, rows: [['', 'median ms', 'longest', 'own MB', 'RSS MB', 'by part'], ...rows], below: [] };
}

/** One table for each number of frames that the encoders take at a time. */
export function heardSections(heard: readonly HeardFigures[]): Section[] {
  return [...new Set(heard.map(({ frames }) => frames))].map((chunk) => {
    const here = heard.filter(({ frames }) => frames === chunk);
    const timesOf = (word: string) => here.find(({ name }) => name.includes(word))?.times;
    const [native, wasm] = [timesOf('native'), timesOf('WASM')];
    const rows = here.map(({ name, times }) => [
      name,
      ...(times ? timeCells(times) : ['–', '–', '–']),
      ...ratios(times, native),
      ...ratios(times, wasm),
      times?.realTimeFactor.toFixed(4) ?? '–',
    ]);
    const heads = ['median ms', 'p10', 'p90', 'of native', 'of p10', 'of WASM', 'of p10', 'RTF'];
    return {
      title: `From samples to text, the encoder’s chunks of ${chunk}`,
      rows: [['', ...heads], ...rows],
      below: [
        ...here.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
        `Heard: ${here[0].text}`,
      ],
    };
  });
}

/** The share of a stage in the whole. */
export function shareOf(stages: Stages, stage: keyof Stages): number {
  return stages[stage] / (stages.features + stages.encoder + stages.search + stages.text);
}

export function stageSection(figures: readonly StageFigures[]): Section {
  const stages = ['features', 'encoder', 'search', 'text'] as const;
  const rows = figures.map((each) => [
    `${each.dtype}, ${each.method}, ${each.sampleRate / 1000} kHz`,
    ...stages.map((stage) => `${ms(each.stages[stage])} (${(100 * shareOf(each.stages, stage)).toFixed(0)} %)`),
  ]);
  return {
    title: 'Rill’s stages, ms for each second of sound and share of the whole, chunks of 4',
    rows: [['', ...stages], ...rows],
    below: [],
  };
}

/** What has no figures. */
export const problemsOf = ({ steps }: Comparison) =>
  steps.flatMap(({ figures }) => figures.flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : [])));
