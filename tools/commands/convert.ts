import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { hasHead, withCheckpoint } from '../checkpoints.ts';
import { readText, writeFolder } from '../files.ts';
import { Progress, note } from '../terminal.ts';
import { parse, usageError, type Command } from './arguments.ts';

const usage =
  'convert <checkpoint> -o <model dir> [--config config.json] [--tokens tokens.txt] [--norm-eps-from CHECKPOINT] [--use-averaged-model]';

export const convert: Command = {
  usage,
  summary: 'turn a checkpoint (PyTorch, TorchScript, safetensors, or an ONNX trio) into a model folder',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      output: { type: 'string', short: 'o' },
      config: { type: 'string' },
      tokens: { type: 'string' },
      dtype: { type: 'string', default: 'f32' },
      'norm-eps-from': { type: 'string' },
      'use-averaged-model': { type: 'boolean' },
    });
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} checkpoints and ${values.output ? 'an' : 'no'} output folder`, { usage });
    }
    if (values.dtype !== 'f32') {
      throw usageError(`--dtype ${values.dtype} (this version writes f32 only)`, { usage });
    }
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
        useAveragedModel: values['use-averaged-model'],
        progress: (done, total) => {
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
