/**
 * `npm run bench:server`: how many calls in real time this machine holds, on the CPU, so that of 100 pieces of sound 99 are
 * in a result within half a second. The clients run on the same machine.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { bundledModel, count, parse, usageError } from '../commands/arguments.ts';
import { readInput } from '../files.ts';
import { runProgram } from '../program.ts';
import { note, print, table } from '../terminal.ts';
import { LoadedServer } from './load-process.ts';
import { realTimeCall } from './real-time-call.ts';

const command = {
  program: 'npm run bench:server --',
  summary: 'calls in real time that this machine holds on the CPU at a 99th percentile under 500 ms',
  usage: '[model dir] [--full-size] [--threads 1,2] [--seconds 20] [--calls 10,20,40] [--json]',
};
const FOLDER = bundledModel(command);
const BOUND_MS = 500;
/** Until all calls are there, and buffers have grown. */
const WARM_UP_MS = 4000;
const FIRST_CALLS = 4;
/** Numbers between what holds and what does not, at which the search ends. */
const CLOSE = 1.12;

interface Trial {
  threads: number;
  calls: number;
  p50: number;
  p99: number;
  /** Seconds of the server's CPU for a second of audio. */
  cpu: number;
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted.length === 0 ? Infinity : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** So many calls at a time, for some seconds. */
async function load(server: LoadedServer, wave: Waveform, calls: number, seconds: number) {
  const start = performance.now() + WARM_UP_MS;
  const stop = start + 1000 * seconds;
  const spoken = Array.from({ length: calls }, async (_, i) => {
    // Not all at once: their pieces come at any moment of a tenth of a second.
    await new Promise((resolve) => setTimeout(resolve, (WARM_UP_MS / 2) * (i / calls)));
    return realTimeCall(server.voskPort, wave, start, stop);
  });
  const until = (at: number) => new Promise((resolve) => setTimeout(resolve, at - performance.now()));
  await until(start);
  const before = await server.usage();
  await until(stop);
  const after = await server.usage();
  const latencies = (await Promise.all(spoken)).flat().sort((a, b) => a - b);
  const cpu = (after.cpuSeconds - before.cpuSeconds) / (calls * seconds);
  return { calls, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), cpu };
}

/** More and more calls until it does not hold, then between: each number once. */
async function* search(run: (calls: number) => Promise<Trial>): AsyncGenerator<Trial> {
  let [holds, fails] = [0, Infinity];
  while (fails / Math.max(1, holds) > CLOSE && fails - holds > 1) {
    const calls =
      fails === Infinity
        ? Math.max(FIRST_CALLS, 2 * holds)
        : holds === 0
          ? fails >> 1
          : Math.round((holds + fails) / 2);
    const trial = await run(calls);
    if (trial.p99 < BOUND_MS) {
      holds = calls;
    } else {
      fails = calls;
    }
    yield trial;
    if (calls === 1 && holds === 0) {
      return;
    }
  }
}

async function* each(numbers: readonly number[], run: (calls: number) => Promise<Trial>): AsyncGenerator<Trial> {
  for (const calls of numbers) {
    yield await run(calls);
  }
}

const numbersOf = (text: string, what: string) => {
  const numbers = text.split(',').map((each) => count(command, what, each) ?? 1);
  return numbers;
};

function report(trials: readonly Trial[]): string {
  const rows = trials.map(({ threads, calls, p50, p99, cpu }) => [
    String(threads),
    String(calls),
    p50.toFixed(0),
    p99.toFixed(0),
    cpu.toFixed(4),
    (1 / cpu).toFixed(1),
  ]);
  return table([['threads', 'calls', 'median ms', '99 of 100, ms', 'CPU s a second', 'calls a core'], ...rows]);
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    'full-size': { type: 'boolean' },
    threads: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    calls: { type: 'string' },
    json: { type: 'boolean' },
  });
  if (positionals.length > 1 || (positionals.length > 0 && values['full-size'])) {
    throw usageError(`${positionals.length} model folders`, command);
  }
  const wave = readWav(await readInput(`${FOLDER}/samples/stream.wav`));
  const seconds = count(command, 'seconds', values.seconds) ?? 1;
  const [{ model }] = cpus();
  const trials: Trial[] = [];
  for (const threads of numbersOf(values.threads ?? String(availableParallelism()), 'threads')) {
    const model = values['full-size'] ? { dtype: 'int8' as const } : { folder: positionals[0] ?? FOLDER };
    const server = await LoadedServer.start({ ...model, threads, maxSessions: 1000 });
    const run = async (calls: number) => ({ threads, ...(await load(server, wave, calls, seconds)) });
    const found = values.calls ? each(numbersOf(values.calls, 'calls'), run) : search(run);
    for await (const trial of found) {
      trials.push(trial);
      note(
        `${threads} threads, ${trial.calls} calls: ${trial.p50.toFixed(0)} ms, ${trial.p99.toFixed(0)} ms at 99 of 100`,
      );
    }
    await server.stop();
  }
  const machine = { cpu: model, cores: availableParallelism(), load: loadavg()[0] };
  note(`${machine.cpu}, ${machine.cores} cores; load average of the last minute ${machine.load.toFixed(1)}`);
  print(values.json ? JSON.stringify({ machine, trials }) : report(trials));
}

await runProgram(command, main);
