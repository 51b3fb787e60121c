import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { convertCheckpoint } from '../../src/checkpoint/convert.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { hasHead, withCheckpoint } from '../checkpoints.ts';
import { readText, writeFolder } from '../files.ts';
import { Progress, note } from '../terminal.ts';
import { parse, usageError, weightDtype, type Command, type Options } from './arguments.ts';

const usage = 'convert <checkpoint> -o <model dir> [options]';

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'DIR', help: 'the model folder to write' },
  config: { type: 'string', value: 'FILE', help: 'a config.json with what tensors cannot tell: features, blank id, …' },
  tokens: {
    type: 'string',
    value: 'FILE',
    help: 'the tokens.txt of the training run',
    otherwise: 'the one in the folder',
  },
  dtype: { type: 'string', value: WEIGHT_DTYPES.join('|'), default: 'f32', help: 'what matrices are kept as' },
  layers: { type: 'string', value: '0-5,8', help: 'the layers to keep', otherwise: 'all' },
  'norm-eps-from': {
    type: 'string',
    value: 'CHECKPOINT',
    help: 'the checkpoint that a state dict with folded scales came from, for the eps of its norms',
  },
  'use-averaged-model': { type: 'boolean', help: 'the running average of a training checkpoint' },
} as const satisfies Options;

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
  options: OPTIONS,
  example: 'convert epoch-30.pt -o my-model --tokens tokens.txt --dtype f16',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
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
