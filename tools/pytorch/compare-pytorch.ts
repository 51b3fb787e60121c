/** `npm run compare:pytorch`: one training in Rill and in PyTorch, and how far their losses are apart. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel } from '../../src/model/model.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import { initialModel } from '../../src/training/scratch.ts';
import { Dataset } from '../../src/training/trainer/dataset.ts';
import { Trainer } from '../../src/training/trainer/trainer.ts';
import { readItem } from '../audio-features.ts';
import { adapterChoice, count, parse, usageError } from '../commands/arguments.ts';
import { writeOutput } from '../files.ts';
import { readManifest } from '../manifest.ts';
import { curves } from '../plot.ts';
import { runProgram } from '../program.ts';
import { note, print, table } from '../terminal.ts';
import { apart, lossesOf } from '../training/curve.ts';
import { lettersOf } from '../training/letters.ts';
import { PYTORCH_DTYPES, pytorchLosses, writeRun, type SharedRun } from './pytorch-curve.ts';

const CLIPS = fileURLToPath(new URL('../../weights/wake-words/samples/clips.csv', import.meta.url));

/** How far losses may be apart, as a share: float32 rounds, and Adam makes a whole step of what is left. */
const BOUND = 1e-3;

const program = {
  program: 'npm run compare:pytorch --',
  usage:
    '[<list>] [--config 2x64] [--steps 50] [--batch-size 4] [--seed 1] [--svg FILE] [--json] [--keep DIR] ' +
    '[--python /usr/bin/python3] [--adapter gpu|software]',
  summary: 'trains a small model from scratch in Rill and in PyTorch, and compares the losses of all steps',
};

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(program, args, {
    config: { type: 'string', default: '2x64' },
    steps: { type: 'string', default: '50' },
    'batch-size': { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    svg: { type: 'string' },
    json: { type: 'boolean', default: false },
    keep: { type: 'string' },
    python: { type: 'string', default: '/usr/bin/python3' },
    adapter: { type: 'string' },
  });
  const [list = CLIPS, ...others] = positionals;
  if (others.length > 0) {
    throw usageError(`${positionals.length} lists`, program);
  }
  const seed = Number(values.seed);
  const run: SharedRun = {
    seed,
    maxSteps: count(program, 'steps', values.steps) ?? 0,
    batchSize: count(program, 'batch-size', values['batch-size']) ?? 0,
    ...{ learningRate: 1e-3, betas: [0.9, 0.98], eps: 1e-9, maxGradNorm: 5, dropout: 0.1, layerDropout: 0.075 },
  };
  const items = await readManifest(list);
  const { files } = await initialModel(values.config, { seed, tokens: lettersOf(items) });
  const model = openModel(files);
  const recordings = items.map((item) => ({ text: item.text, name: item.audio, audio: () => readItem(item) }));
  const dataset = await Dataset.open(model, recordings);
  const folder = values.keep ?? (await mkdtemp(join(tmpdir(), 'rill-pytorch-')));
  const device = await openNodeEngine({ device: 'webgpu', adapter: adapterChoice(program, values.adapter) });
  try {
    await writeRun(folder, files, dataset, run);
    const pytorch = await pytorchLosses(values.python, folder);
    const trainer = await Trainer.create(model, { ...run, device });
    const rill = await lossesOf(trainer, dataset).finally(() => {
      trainer.dispose();
    });
    const names = { rill, ...pytorch };
    const results = {
      steps: run.maxSteps,
      ...{ losses: names, bound: BOUND },
      rill: apart(rill, pytorch.float32),
      rillFloat64: apart(rill, pytorch.float64),
      pytorchFloat64: apart(pytorch.float32, pytorch.float64),
    };
    if (values.svg !== undefined) {
      const lines = [
        { name: `Rill, ${device.device.name}`, losses: rill },
        ...PYTORCH_DTYPES.map((dtype) => ({ name: `PyTorch, ${dtype}`, losses: pytorch[dtype] })),
      ].map(({ name, losses }) => ({
        name,
        points: losses.map((loss, i): [number, number] => [i + 1, loss]),
      }));
      const svg = curves({ x: 'steps', y: 'loss' }, lines, { isLinear: true });
      await writeOutput(values.svg, new TextEncoder().encode(svg));
    }
    if (values.json) {
      print(JSON.stringify(results));
    } else {
      note(`on ${device.device.name}`);
      const every = Math.ceil(run.maxSteps / 10);
      const rows = rill.flatMap((_, i) =>
        i === 0 || (i + 1) % every === 0
          ? [[String(i + 1), ...Object.values(names).map((losses) => losses[i].toFixed(6))]]
          : [],
      );
      print(table([['step', 'Rill', ...PYTORCH_DTYPES.map((dtype) => `PyTorch, ${dtype}`)], ...rows]));
      const words = ({ difference, step }: ReturnType<typeof apart>) => `${difference.toExponential(1)} (step ${step})`;
      print(
        `\nlargest relative difference: Rill to PyTorch's float32 ${words(results.rill)}, ` +
          `to its float64 ${words(results.rillFloat64)}; PyTorch's float32 to its float64 ${words(results.pytorchFloat64)}`,
      );
    }
    if (!(results.rill.difference <= BOUND)) {
      throw new Error(`losses are ${results.rill.difference.toExponential(1)} apart, more than ${BOUND}`);
    }
  } finally {
    device.dispose();
    if (values.keep === undefined) {
      await rm(folder, { recursive: true });
    }
  }
}

await runProgram(program, main);
