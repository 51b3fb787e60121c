import type { DeviceName } from '../../src/engine.ts';
import type { BenchOutput } from '../runtime/bench-job.ts';
import type { RuntimeName } from '../runtime/runtime.ts';
import type { Rows } from '../terminal.ts';

/** An engine, and where it runs. */
export interface Place {
  runtime: RuntimeName;
  device: DeviceName;
  dtype: 'f32' | 'int8';
}

/** What one model takes at one place. */
export interface Row extends Place {
  model: string;
  /** What it ran on, or why it did not. */
  name: string;
  output?: Pick<BenchOutput, 'streams' | 'exact'>;
}

const titleOf = ({ model, device, name, dtype, runtime }: Row) =>
  `${model}: ${device === 'cpu' ? 'CPU' : `WebGPU (${name})`}, ${dtype}, ${runtime}`;

/** By model, then by place; the shortest median of each column of a model has a star. */
export function tableOf(rows: readonly Row[], streams: readonly number[]): Rows {
  const timingOf = (row: Row, count: number) => row.output?.streams.find((each) => each.streams === count);
  const shortest = (model: string, count: number) =>
    Math.min(...rows.flatMap((row) => (row.model === model ? (timingOf(row, count)?.medianMs ?? []) : [])));
  const cell = (row: Row, count: number) => {
    const timing = timingOf(row, count);
    const mark = timing?.medianMs === shortest(row.model, count) ? ' *' : '';
    return timing ? `${timing.medianMs.toFixed(2)} (${timing.p10Ms.toFixed(2)})${mark}` : '–';
  };
  const isExact = ({ output }: Row) => (output?.exact === undefined ? '–' : output.exact ? 'yes' : 'NO');
  const models = [...new Set(rows.map(({ model }) => model))];
  const body = models.flatMap((model) => rows.filter((row) => row.model === model));
  return [
    ['', ...streams.map((count) => (count === 1 ? '1 stream' : `${count} streams`)), 'exact'],
    ...body.map((row) => [titleOf(row), ...streams.map((count) => cell(row, count)), isExact(row)]),
  ];
}
