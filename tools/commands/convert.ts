import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { readText, withFile, writeFolder } from '../files.ts';
import { Progress, note } from '../terminal.ts';
import { parse, usageError, type Command } from './arguments.ts';

const usage =
  'convert <checkpoint> -o <model dir> [--config config.json] [--tokens tokens.txt] [--norm-eps-from CHECKPOINT]';

export const convert: Command = {
  usage,
  summary: 'turn a PyTorch checkpoint into a model folder',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      output: { type: 'string', short: 'o' },
      config: { type: 'string' },
      tokens: { type: 'string' },
      dtype: { type: 'string', default: 'f32' },
      'norm-eps-from': { type: 'string' },
    });
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} checkpoints and ${values.output ? 'an' : 'no'} output folder`, { usage });
    }
    if (values.dtype !== 'f32') {
      throw usageError(`--dtype ${values.dtype} (this version writes f32 only)`, { usage });
    }
    const config = values.config && (await readText(values.config));
    const tokens = values.tokens && (await readText(values.tokens));
    const progress = new Progress('converting');
    const run = (normEpsFrom?: Parameters<typeof convertCheckpoint>[0]) =>
      withFile(positionals[0], (checkpoint) =>
        convertCheckpoint(checkpoint, {
          config,
          tokens,
          normEpsFrom,
          progress: (done, total) => progress.update(done, total),
        }),
      );
    const donor = values['norm-eps-from'];
    const files = await (donor ? withFile(donor, run) : run()).finally(() => progress.end());
    await writeFolder(values.output, { ...files });
    if (files['tokens.txt'] === undefined) {
      // Left over from another model, it would make the folder unreadable.
      await rm(join(values.output, 'tokens.txt'), { force: true });
    }
    note(`wrote ${Object.keys(files).join(', ')} to ${values.output}`);
  },
};
