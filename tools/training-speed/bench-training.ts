/**
 * `npm run bench:train`: steps of training, and one layer trained by Rill and its peers in turns in one page, and by PyTorch.
 */
import { execFile } from 'node:child_process';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RillError } from '../../src/errors.ts';
import { openModel } from '../../src/model/model.ts';
import {
  FULL_SIZE,
  JSON_OPTION,
  MEASURING_OPTIONS,
  adapterChoice,
  bundledModel,
  count,
  oneOf,
  parse,
  usageError,
  withRuntime,
} from '../commands/arguments.ts';
import { readModelFiles } from '../files.ts';
import { layerSection, type LayerOutcome } from '../peers/layer/report.ts';
import { runProgram } from '../program.ts';
import { markdownTable, note, print, table, type Rows } from '../terminal.ts';
import type { TrainBenchInput, TrainFigures } from './bench-job.ts';
import { TRAINED, measureTraining, trainingInputs, trainingReport } from './measure.ts';
import { coldTable } from './train-table.ts';
import { fineTuneStep } from './workloads.ts';

const command = {
  program: 'npm run bench:train --',
  summary: 'time steps of training, and one layer beside TensorFlow.js, jax-js and PyTorch',
  usage:
    '[--what layer,fine-tune,teach,teach-cpu,one-clip,full,cold,peers,pytorch] [--seconds 10] [--rounds 5] [--who tensorflow,jax]' +
    ' [--runtime node|chrome|firefox] [--adapter gpu|software] [--markdown] [--json]',
};
const PARTS = [...TRAINED, 'one-clip', 'full', 'cold', 'peers', 'pytorch'] as const;
/** Whose first steps are measured in processes of their own. */
const COLD = ['layer', 'teach', 'one-clip'] as const;
const PEERS = ['tensorflow', 'jax'] as const;
const PYTORCH = fileURLToPath(new URL('../portable/pytorch_bench.py', import.meta.url));
/** The least of a fine-tuning step. */
const ONE_CLIP = { utterances: 1, seconds: 1 };
/** Of a full-size step that a processor can do; the largest batch is told from it by its rows. */
const FULL_BATCH = { utterances: 1, seconds: 1 };

async function inputsOf(parts: ReadonlySet<string>, seconds: number): Promise<TrainBenchInput[]> {
  const files = await readModelFiles(bundledModel(command));
  const names = TRAINED.filter((name) => parts.has(name));
  const oneClip = { ...fineTuneStep(ONE_CLIP), name: 'fine-tune, 1 × 1 s' };
  const full = { ...fineTuneStep(FULL_BATCH), name: 'full size, 1 × 1 s' };
  return [
    ...trainingInputs(names, files, openModel(files).sizes.encoder, seconds),
    ...(parts.has('one-clip') ? [{ model: files, seconds, kernels: seconds > 0, workload: oneClip }] : []),
    ...(parts.has('full') ? [{ model: FULL_SIZE, seconds, kernels: seconds > 0, workload: full }] : []),
  ];
}

/** First steps, each in a process of its own, where nothing was done before. */
async function coldFigures({ runtime, adapter }: { runtime?: string; adapter?: string }): Promise<TrainFigures[]> {
  const choice = [...(runtime ? ['--runtime', runtime] : []), ...(adapter ? ['--adapter', adapter] : [])];
  const own = [...process.execArgv, process.argv[1]];
  const figures: TrainFigures[] = [];
  for (const part of COLD) {
    const args = [...own, '--what', part, '--seconds', '0', '--json', ...choice];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    figures.push(...(JSON.parse(stdout) as { figures: TrainFigures[] }).figures);
  }
  return figures;
}

/** One layer in PyTorch, on one thread; undefined where there is none. */
async function pytorchLayer(): Promise<object | undefined> {
  const args = [PYTORCH, '--device', 'cpu', '--threads', '1', '--train', 'layer', '--seconds', '2', '--json'];
  try {
    const { stdout } = await promisify(execFile)('/usr/bin/python3', args);
    return JSON.parse(stdout) as object;
  } catch (error) {
    note(`no figures of PyTorch: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function listed<Word extends string>(name: string, text: string | undefined, words: readonly Word[]): Word[] {
  return (text ?? words.join(',')).split(',').map((each) => {
    const word = oneOf(command, name, each, words);
    if (word === undefined) {
      throw usageError(`--${name} ${text}`, command);
    }
    return word;
  });
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    ...MEASURING_OPTIONS,
    ...JSON_OPTION,
    what: { type: 'string' },
    who: { type: 'string' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '5' },
    markdown: { type: 'boolean', default: false },
  });
  const seconds = Number(values.seconds);
  if (positionals.length > 0 || !(seconds >= 0 && seconds <= 3600)) {
    throw usageError(`${positionals.length} paths, ${values.seconds} seconds`, command);
  }
  const parts = new Set<string>(listed('what', values.what, PARTS));
  const who = listed('who', values.who, PEERS);
  const [load] = loadavg();
  const figures: TrainFigures[] = [];
  const inputs = await inputsOf(parts, seconds);
  let adapter = '';
  if (inputs.length > 0) {
    await withRuntime(
      command,
      values,
      async (runtime) => {
        adapter = `${runtime.device.name}, ${runtime.name}`;
        figures.push(...(await measureTraining(runtime, inputs)));
      },
      'webgpu',
    );
  }
  const cold = parts.has('cold') ? await coldFigures(values) : [];
  const peers = parts.has('peers')
    ? await peersOf(who, values, count(command, 'rounds', values.rounds) ?? 1)
    : undefined;
  const pytorch = parts.has('pytorch') ? await pytorchLayer() : undefined;
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load ${load.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after`;
  if (values.json) {
    print(JSON.stringify({ adapter, machine, figures, cold, peers, pytorch }));
  } else {
    const shown = (rows: Rows) => (values.markdown ? markdownTable(rows) : table(rows));
    print(
      [
        `${adapter}; ${machine}`,
        ...(figures.length > 0 ? trainingReport(figures, values.markdown) : []),
        ...(cold.length > 0 ? [shown(coldTable(cold))] : []),
        ...(peers ? [`${peers.device}, one layer`, shown(layerSection(peers.output))] : []),
        ...(pytorch ? [`PyTorch: ${JSON.stringify(pytorch)}`] : []),
      ].join('\n\n'),
    );
  }
  const problem = peers?.output.figures.find((each) => each.problem !== undefined);
  if (problem) {
    throw new RillError('internal', {
      got: `${problem.name} without figures: ${problem.problem}`,
      expected: 'the same losses of all, and no failure',
      remedy: 'Leave it out with --who; if all differ, run npm test.',
    });
  }
}

async function peersOf(
  who: readonly (typeof PEERS)[number][],
  { runtime, adapter }: { runtime?: string; adapter?: string },
  rounds: number,
): Promise<{ device: string; output: LayerOutcome }> {
  const { PageRunner } = await import('../peers/run-page.ts');
  const browser = runtime === 'firefox' ? 'firefox' : 'chrome';
  const script = new URL('../peers/layer/page.ts', import.meta.url);
  const runner = await PageRunner.open(browser, { script }, adapterChoice(command, adapter));
  try {
    const { device, output } = await runner.run({ who: [...who], rounds });
    // The page's own word: it runs this project's code.
    return { device: `${runner.browserVersion}, ${device}`, output: output as LayerOutcome };
  } finally {
    await runner.close();
  }
}

await runProgram(command, main);
