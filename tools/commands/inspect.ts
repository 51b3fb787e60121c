import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/convert.ts';
import { writeConfig } from '../../src/model/config.ts';
import { openModel } from '../../src/model/model.ts';
import { countParameters } from '../../src/model/sizes.ts';
import { shapeText, type TensorInfo } from '../../src/model/tensors.ts';
import { withCheckpoint } from '../checkpoints.ts';
import { isFolder, readModelFiles } from '../files.ts';
import { print, printable, table } from '../terminal.ts';
import { JSON_OPTION, parse, usageError, type Command, type Options } from './arguments.ts';

const usage = 'inspect <checkpoint or model dir> [options]';

const OPTIONS = {
  'norm-eps-from': {
    type: 'string',
    value: 'CHECKPOINT',
    help: 'the checkpoint that a state dict with folded scales came from',
  },
  'use-averaged-model': { type: 'boolean', help: 'the running average of a training checkpoint' },
  ...JSON_OPTION,
} as const satisfies Options;

interface Inspection {
  tensors: ReadonlyMap<string, TensorInfo>;
  parameters: Record<string, number>;
  config: unknown;
  /** That the model was taught. */
  phrases: readonly string[];
  ignored: readonly string[];
}

const isModelFolder = async (path: string) => (await isFolder(path)) && existsSync(join(path, 'model.safetensors'));

async function inspectPath(path: string, donor: string | undefined, useAveragedModel = false): Promise<Inspection> {
  if (await isModelFolder(path)) {
    if (donor !== undefined || useAveragedModel) {
      throw usageError(`${path}, a model folder, with an option for checkpoints`, { usage });
    }
    const { sizes, config, weights, tokens } = openModel(await readModelFiles(path));
    return {
      tensors: weights.tensors,
      parameters: countParameters(sizes),
      config: JSON.parse(writeConfig(config, sizes)),
      phrases: tokens?.phraseIds.map((id) => tokens.text([id])) ?? [],
      ignored: [],
    };
  }
  return withCheckpoint(path, donor, async (source, normEpsFrom): Promise<Inspection> => {
    const { stored, sizes, config, ignored } = await openCheckpoint(source, { normEpsFrom, useAveragedModel });
    return {
      tensors: stored.tensors,
      parameters: countParameters(sizes),
      config: JSON.parse(writeConfig(config, sizes)),
      phrases: [],
      ignored,
    };
  });
}

export const inspect: Command = {
  usage,
  summary: 'list tensors, parameter counts and the inferred configuration',
  options: OPTIONS,
  example: 'inspect epoch-30.pt',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    if (positionals.length !== 1) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const { tensors, parameters, config, phrases, ignored } = await inspectPath(
      positionals[0],
      values['norm-eps-from'],
      values['use-averaged-model'],
    );
    if (values.json) {
      const list = [...tensors].map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
      print(JSON.stringify({ tensors: list, parameters, config, phrases, ignored }));
      return;
    }
    print(table([...tensors].map(([name, { shape, dtype }]) => [printable(name), shapeText(shape), dtype])));
    print('');
    print(table(Object.entries(parameters).map(([part, count]) => [`${part} parameters`, count.toLocaleString('en')])));
    print(`\nconfiguration ${JSON.stringify(config, null, 2)}`);
    if (phrases.length > 0) {
      print(`\nphrases: ${printable(phrases.join(', '))}`);
    }
    print(`\nignored: ${ignored.length ? printable(ignored.join(', ')) : 'nothing'}`);
  },
};
