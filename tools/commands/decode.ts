import { readModelFiles } from '../files.ts';
import { Progress, print, printable } from '../terminal.ts';
import {
  JSON_OPTION,
  RUNTIME_OPTIONS,
  count,
  parse,
  usageError,
  withRuntime,
  type Command,
  type Options,
} from './arguments.ts';
import { LENS_OPTION, readBatch } from './batch.ts';
import { SEARCH_OPTIONS, readSearchOptions } from './search-options.ts';

const usage = 'decode <model dir> <features.npy> [options]';

const OPTIONS = {
  lens: LENS_OPTION,
  ...SEARCH_OPTIONS,
  chunk: {
    type: 'string',
    value: 'N',
    help: 'encoder frames of each utterance in a step',
    otherwise: 'as many as pay',
  },
  ...JSON_OPTION,
  ...RUNTIME_OPTIONS,
} as const satisfies Options;

export const decode: Command = {
  usage,
  summary: 'from features to tokens, one line per utterance',
  options: OPTIONS,
  example: 'decode my-model features.npy --method modified_beam_search --json',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [folder, featuresPath, ...others] = positionals;
    if (!folder || !featuresPath || others.length > 0) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const chunkFrames = count({ usage }, 'chunk', values.chunk);
    const { method, options } = await readSearchOptions({ usage }, values);
    const model = await readModelFiles(folder);
    const { features, featureWidth, lengths } = await readBatch(featuresPath, values.lens);
    await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('decoding');
      const input = { model, features, featureWidth, lengths, chunkFrames, method, options };
      const results = await runtime.run('decode', input, progress.listen).finally(() => {
        progress.end();
      });
      for (const { tokens, frames, text, logProb } of results) {
        print(values.json ? JSON.stringify({ tokens, frames, text, log_prob: logProb }) : printable(text));
      }
    });
  },
};
