import { readModelFiles } from '../files.ts';
import { Progress, print, printable } from '../terminal.ts';
import { RUNTIME_OPTIONS, count, parse, usageError, withRuntime, type Command } from './arguments.ts';
import { readBatch } from './batch.ts';
import { SEARCH_OPTIONS, SEARCH_USAGE, readSearchOptions } from './search-options.ts';

const usage = `decode <model dir> <features.npy> [--lens lens.npy] ${SEARCH_USAGE} [--chunk N] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]`;

export const decode: Command = {
  usage,
  summary: 'from features to tokens, one line per utterance',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      ...SEARCH_OPTIONS,
      lens: { type: 'string' },
      chunk: { type: 'string' },
      json: { type: 'boolean' },
    });
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
