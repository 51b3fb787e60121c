/**
 * `npm run bench:engines`: which engine where. A chunk of four frames on each engine that this machine has, by model and by
 * how many streams go into a step.
 */
import { cpus, loadavg } from 'node:os';
import { RillError } from '../../src/errors.ts';
import { FULL_SIZE, bundledModel, counts, parse, usageError } from '../commands/arguments.ts';
import { readModelFiles } from '../files.ts';
import { runProgram } from '../program.ts';
import { STREAM_CHUNK, type BenchInput } from '../runtime/bench-job.ts';
import { openRuntime } from '../runtime/runtime.ts';
import { Progress, markdownTable, note, print, table } from '../terminal.ts';
import { tableOf, type Place, type Row } from './engine-table.ts';

const command = {
  program: 'npm run bench:engines --',
  summary: 'time a chunk of four frames on every engine of this machine',
  usage: '[--streams 1,16,32] [--seconds 4] [--markdown] [--json]',
};
const MOST_STREAMS = 256;

const PLACES: readonly Place[] = [
  { runtime: 'chrome', device: 'webgpu', dtype: 'f32' },
  { runtime: 'firefox', device: 'webgpu', dtype: 'f32' },
  { runtime: 'chrome', device: 'cpu', dtype: 'f32' },
  { runtime: 'chrome', device: 'cpu', dtype: 'int8' },
  { runtime: 'node', device: 'cpu', dtype: 'f32' },
  { runtime: 'node', device: 'cpu', dtype: 'int8' },
];

/** All models at one place: a browser is started once for them. */
async function measure(
  place: Place,
  models: Readonly<Record<string, BenchInput['model']>>,
  sections: Pick<BenchInput, 'streams' | 'seconds'>,
): Promise<Row[]> {
  const { runtime: where, device, dtype } = place;
  const names = Object.keys(models);
  let runtime;
  try {
    runtime = await openRuntime({ runtime: where, device });
  } catch (error) {
    if (error instanceof RillError) {
      return names.map((model) => ({ ...place, model, name: error.got }));
    }
    throw error;
  }
  try {
    const rows: Row[] = [];
    for (const model of names) {
      const progress = new Progress(`${model} in ${where}, ${device}, ${dtype}`);
      const empty = { chunks: [], batches: [], kernels: [], methods: [] };
      const output = await runtime
        .run('bench', { model: models[model], dtype, ...empty, ...sections }, progress.listen)
        .finally(() => progress.end());
      const [problem] = Object.values(output.problems);
      rows.push({ ...place, model, name: problem ?? runtime.device.name, output });
    }
    return rows;
  } finally {
    await runtime.close();
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    streams: { type: 'string', default: '1,16,32' },
    seconds: { type: 'string', default: '4' },
    markdown: { type: 'boolean', default: false },
    json: { type: 'boolean' },
  });
  const seconds = Number(values.seconds);
  if (positionals.length > 0 || !(seconds >= 0 && seconds <= 3600)) {
    throw usageError(`${positionals.length} paths, ${values.seconds} seconds`, command);
  }
  const streams = counts(command, 'streams', values.streams, MOST_STREAMS);
  const models = { 'wake-words': await readModelFiles(bundledModel(command)), 'full size': FULL_SIZE };
  const [load] = loadavg();
  const rows: Row[] = [];
  for (const place of PLACES) {
    note(`${place.runtime}, ${place.device}, ${place.dtype}`);
    rows.push(...(await measure(place, models, { streams, seconds })));
  }
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load ${load.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after`;
  if (values.json) {
    print(JSON.stringify({ machine, rows }));
    return;
  }
  const shown = tableOf(rows, streams);
  print(`ms of ${STREAM_CHUNK} frames of each stream, median (p10), * the shortest; ${machine}\n`);
  print(values.markdown ? markdownTable(shown) : table(shown));
}

await runProgram(command, main);
