import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { RillError, shown } from '../../src/errors.ts';
import { parseJson } from '../../src/model/config.ts';
import { openModel } from '../../src/model/model.ts';
import { writeSafetensors } from '../../src/model/safetensors.ts';
import { expectedTensors } from '../../src/model/sizes.ts';
import type { Draws } from '../../src/training/draws.ts';
import type { OptimizerName } from '../../src/training/optimizer-options.ts';
import { PRECISIONS } from '../../src/training/precision.ts';
import { readText, withFile, writeOutput } from '../files.ts';
import type { GradientsInput } from '../runtime/gradients-job.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Progress, note } from '../terminal.ts';
import {
  RUNTIME_OPTIONS,
  count,
  oneOf,
  parse,
  usageError,
  withRuntime,
  type Command,
  type Options,
} from './arguments.ts';
import { loadNpy } from './batch.ts';

const usage = 'gradients <case folder> -o <grads.safetensors> [options]';

const MODES = ['eval', 'train'] as const;
type Mode = (typeof MODES)[number];

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'FILE', help: 'the .safetensors file to write' },
  mode: {
    type: 'string',
    value: MODES.join('|'),
    help: 'eval: gradients of the sum; train: of the mean, with the draws of the folder train/',
    otherwise: 'eval; of steps as adam/steps.json says',
  },
  precision: {
    type: 'string',
    value: PRECISIONS.join('|'),
    help: 'how layers keep what the way back reads',
    otherwise: 'f32',
  },
  steps: { type: 'string', value: 'N', help: 'take so many steps of Adam, and write the weights behind them' },
  runtime: RUNTIME_OPTIONS.runtime,
  adapter: RUNTIME_OPTIONS.adapter,
} as const satisfies Options;

type Json = Readonly<Record<string, unknown>>;

const numbersOf = (value: unknown): number[] | undefined =>
  Array.isArray(value) && value.every((each) => typeof each === 'number') ? value : undefined;

function bad(path: string, got: unknown, expected: string): RillError {
  return new RillError('bad-argument', {
    got: `${path} with ${shown(got)}`,
    expected,
    remedy: 'Write the case folder as its README says.',
  });
}

/** The labels of a case: token ids for each utterance. */
function targetsOf(path: string, { targets }: Json): number[][] {
  const lists = Array.isArray(targets) ? targets.map(numbersOf) : [];
  if (lists.length === 0 || lists.includes(undefined)) {
    throw bad(path, targets, 'targets: token ids of each utterance');
  }
  return lists.filter((list) => list !== undefined);
}

/** What was drawn for a step: `train/` of a case. */
async function readDraws(folder: string, layers: number): Promise<Draws> {
  const at = (name: string) => join(folder, 'train', name);
  const { alpha } = parseJson(await readText(at('draws.json')));
  const alphas = numbersOf(alpha);
  if (alphas?.length !== layers) {
    throw bad(at('draws.json'), alpha, `alpha: a number for each of ${layers} layers`);
  }
  const mask = async (part: string) => (await loadNpy(at(`mask_${part}.npy`))).data;
  const files = await readdir(join(folder, 'train'));
  return {
    alpha: alphas,
    layers: await Promise.all(
      Array.from({ length: layers }, async (_, l) => ({
        lstm: await mask(`layer${l}_lstm`),
        ffInner: await mask(`layer${l}_ff_inner`),
        ff: await mask(`layer${l}_ff`),
      })),
    ),
    head: await mask('head'),
    ...(files.includes('combine_weights.npy') && { combine: (await loadNpy(at('combine_weights.npy'))).data }),
  };
}

/** What an optimizer's case says of its steps; PyTorch's Adam of the recipe where it says nothing. */
async function readSteps(folder: string): Promise<Json> {
  const path = join(folder, 'adam', 'steps.json');
  return parseJson(await readText(path).catch(() => '{}'));
}

/** A case folder as a job takes it. */
async function readCase(folder: string, wanted: Mode | undefined, steps: number | undefined): Promise<GradientsInput> {
  const configPath = join(folder, 'config.json');
  const config = await readText(configPath);
  const json = parseJson(config);
  const told = steps === undefined ? {} : await readSteps(folder);
  const mode = wanted ?? (told.mode === 'train' ? 'train' : 'eval');
  const model = await withFile(join(folder, 'model.pt'), (source) => convertCheckpoint(source, { config }));
  const layers = openModel(model).sizes.encoder.numEncoderLayers;
  const isTrained = mode === 'train';
  const reduction = told.reduction === 'sum' || told.reduction === 'mean' ? told.reduction : isTrained ? 'mean' : 'sum';
  const draws = isTrained ? await readDraws(folder, layers) : undefined;
  return {
    model,
    features: (await loadNpy(join(folder, 'features.npy'))).data,
    lens: [...(await loadNpy(join(folder, 'feature_lens.npy'))).data],
    targets: targetsOf(configPath, json),
    reduction,
    dropout: isTrained && typeof json.dropout === 'number' ? json.dropout : 0,
    auxLayers: draws?.combine ? (numbersOf(json.aux_layers) ?? []) : [],
    draws,
    ...(Array.isArray(told.trainable) && { trainable: told.trainable.map(String) }),
    ...(steps !== undefined && {
      steps: {
        count: steps,
        optimizer: (typeof told.optimizer === 'string' ? told.optimizer : 'adam').toLowerCase() as OptimizerName,
        learningRate: typeof told.lr === 'number' ? told.lr : 1e-3,
        ...(typeof told.weight_decay === 'number' && { weightDecay: told.weight_decay }),
      },
    }),
  };
}

export const gradients: Command = {
  usage,
  summary: 'gradients of a batch, or the weights behind some steps, to compare with PyTorch’s',
  options: OPTIONS,
  example: 'gradients golden/small -o grads.safetensors --mode train',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [folder, ...others] = positionals;
    const { output } = values;
    if (!folder || others.length > 0 || !output) {
      throw usageError(`${positionals.length} folders and ${output ? 'an' : 'no'} output`, { usage });
    }
    const steps = count({ usage }, 'steps', values.steps);
    const precision = oneOf({ usage }, 'precision', values.precision, PRECISIONS);
    const input = { ...(await readCase(folder, oneOf({ usage }, 'mode', values.mode, MODES), steps)), precision };
    const shapes = expectedTensors(openModel(input.model).sizes);
    const train = async (runtime: Runtime) => {
      const progress = new Progress('training');
      const { losses, loss, norms, tensors } = await runtime
        .run('gradients', input, progress.listen)
        .finally(() => progress.end());
      const vectors = [
        { name: 'loss', values: Float32Array.from(losses) },
        ...(steps === undefined ? [] : [{ name: 'grad_norm', values: Float32Array.from(norms) }]),
      ].map(({ name, values: own }) => ({ name, shape: [own.length], read: async () => own }));
      const written = tensors.map((each) => ({
        name: each.name,
        shape: shapes.get(each.name) ?? [],
        read: async () => each.values,
      }));
      await writeOutput(output, await writeSafetensors([...vectors, ...written]));
      note(`loss ${loss}, ${tensors.length} tensors`);
    };
    await withRuntime({ usage }, values, train, 'webgpu');
  },
};
