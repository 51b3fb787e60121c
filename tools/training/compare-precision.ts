/** `npm run compare:precision`: one training in f32 and in f16, how far their losses are apart, and what they take. */
import { fileURLToPath } from 'node:url';
import { openModel } from '../../src/model/model.ts';
import { openNodeEngine } from '../../src/node/engine.ts';
import { activationBytes } from '../../src/training/activations.ts';
import { PRECISIONS, type Precision } from '../../src/training/precision.ts';
import { initialModel } from '../../src/training/scratch.ts';
import { Dataset } from '../../src/training/trainer/dataset.ts';
import { Trainer } from '../../src/training/trainer/trainer.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { readItem } from '../audio-features.ts';
import { FULL_SIZE, adapterChoice, count, parse, usageError } from '../commands/arguments.ts';
import { readManifest } from '../manifest.ts';
import { runProgram } from '../program.ts';
import { note, print, table } from '../terminal.ts';
import { apart, lossesOf } from './curve.ts';
import { lettersOf } from './letters.ts';

const CLIPS = fileURLToPath(new URL('../../weights/wake-words/samples/clips.csv', import.meta.url));

/** What the full size is planned for. */
const LARGE = { utterances: 8, frames: 249 };
const ALL_KEPT = { lowest: -1, recompute: false, hasDropout: false, combined: 0 };

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const program = {
  program: 'npm run compare:precision --',
  usage: '[<list>] [--config 2x64] [--steps 30] [--batch-size 1] [--seed 1] [--adapter gpu|software]',
  summary: 'trains a small model from scratch in f32 and in f16, and compares the losses of all steps',
};

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(program, args, {
    config: { type: 'string', default: '2x64' },
    steps: { type: 'string', default: '30' },
    'batch-size': { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    adapter: { type: 'string' },
  });
  const [list = CLIPS, ...others] = positionals;
  if (others.length > 0) {
    throw usageError(`${positionals.length} lists`, program);
  }
  const seed = Number(values.seed);
  const maxSteps = count(program, 'steps', values.steps) ?? 0;
  const batchSize = count(program, 'batch-size', values['batch-size']);
  const items = await readManifest(list);
  const { files } = await initialModel(values.config, { seed, tokens: lettersOf(items) });
  const model = openModel(files);
  const recordings = items.map((item) => ({ text: item.text, name: item.audio, audio: () => readItem(item) }));
  const dataset = await Dataset.open(model, recordings);
  const device = await openNodeEngine({ device: 'webgpu', adapter: adapterChoice(program, values.adapter) });
  try {
    note(`on ${device.device.name}`);
    const train = async (precision: Precision) => {
      const options = { device, seed, maxSteps, batchSize, precision, dropout: 0.1, layerDropout: 0.075 };
      const trainer = await Trainer.create(model, options);
      try {
        const losses = await lossesOf(trainer, dataset);
        return { losses, bytes: gpuOf(device).memory.get('activations') ?? 0 };
      } finally {
        trainer.dispose();
      }
    };
    const [single, half] = [await train('f32'), await train('f16')];
    const every = Math.ceil(maxSteps / 10);
    const rows = single.losses.flatMap((loss, i) =>
      i === 0 || (i + 1) % every === 0 ? [[String(i + 1), loss.toFixed(6), half.losses[i].toFixed(6)]] : [],
    );
    print(table([['step', ...PRECISIONS], ...rows]));
    const { difference, step } = apart(half.losses, single.losses);
    print(`\nlargest relative difference: ${difference.toExponential(1)} (step ${step})\n`);
    const sizes = { ...model.sizes.encoder, ...FULL_SIZE };
    const planned = PRECISIONS.map((precision) => activationBytes(sizes, LARGE, { ...ALL_KEPT, precision }));
    const layers = PRECISIONS.map((precision) =>
      activationBytes(sizes, LARGE, { ...ALL_KEPT, from: 0, lowest: 0, precision }),
    );
    print(
      table([
        ['activations', ...PRECISIONS],
        ['this training', ...[single, half].map(({ bytes }) => megabytes(bytes))],
        ['planned: full size, 8 × 10 s', ...planned.map(megabytes)],
        ['of these, layers', ...layers.map(megabytes)],
      ]),
    );
  } finally {
    device.dispose();
  }
}

await runProgram(program, main);
