import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { hasHead, withCheckpoint } from '../checkpoints.ts';
import { readText, writeFolder } from '../files.ts';
import { Progress, note } from '../terminal.ts';
import { parse, usageError, weightDtype, type Command } from './arguments.ts';

const usage =
  'convert <checkpoint> -o <model dir> [--config config.json] [--tokens tokens.txt] [--dtype f32|f16|int8] [--layers 0-5,8] [--norm-eps-from CHECKPOINT] [--use-averaged-model]';

/** `0-5,8` as the numbers it stands for. */
function parseLayers(text: string): number[] {
  return text.split(',').flatMap((range) => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(range);
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
    if (!match || last < first) {
      throw usageError(`--layers ${text} (like 0-5,8)`, { usage });
    }
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

export const convert: Command = {
  usage,
  summary: 'turn a checkpoint (PyTorch, TorchScript, safetensors, or an ONNX trio) into a model folder',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      output: { type: 'string', short: 'o' },
      config: { type: 'string' },
      tokens: { type: 'string' },
      dtype: { type: 'string', default: 'f32' },
      layers: { type: 'string' },
      'norm-eps-from': { type: 'string' },
      'use-averaged-model': { type: 'boolean' },
    });
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} checkpoints and ${values.output ? 'an' : 'no'} output folder`, { usage });
    }
    const dtype = weightDtype({ usage }, values.dtype);
    const layers = values.layers === undefined ? undefined : parseLayers(values.layers);
    const config = values.config && (await readText(values.config));
    // sherpa-onnx keeps tokens.txt beside the trio; a lone encoder has no use for it.
    const beside = join(positionals[0], 'tokens.txt');
    const tokensPath = values.tokens ?? (existsSync(beside) && (await hasHead(positionals[0])) ? beside : undefined);
    const tokens = tokensPath && (await readText(tokensPath));
    const progress = new Progress('converting');
    const files = await withCheckpoint(positionals[0], values['norm-eps-from'], (checkpoint, normEpsFrom) =>
      convertCheckpoint(checkpoint, {
        config,
        tokens,
        normEpsFrom,
        dtype,
        layers,
        useAveragedModel: values['use-averaged-model'],
        onWritten: (done, total) => {
          progress.update(done, total);
        },
      }),
    ).finally(() => {
      progress.end();
    });
    await writeFolder(values.output, { ...files });
    if (files['tokens.txt'] === undefined) {
      // Left over from another model, it would make the folder unreadable.
      const stale = join(values.output, 'tokens.txt');
      if (existsSync(stale)) {
        note(`removing ${stale}, which belongs to another model`);
        await rm(stale);
      }
    }
    note(`wrote ${Object.keys(files).join(', ')} to ${values.output}`);
  },
};
