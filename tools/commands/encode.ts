import { join } from 'node:path';
import { readModelFiles, writeFolder, writeOutput } from '../files.ts';
import { writeNpy } from '../npy.ts';
import { Progress, note } from '../terminal.ts';
import { RUNTIME_OPTIONS, count, parse, usageError, withRuntime, type Command } from './arguments.ts';
import { loadNpy, readBatch } from './batch.ts';

const usage =
  'encode <model dir> <features.npy> -o <out.npy> [--lens lens.npy] [--chunk N] [--states-in DIR] [--states-out DIR] [--runtime node|chrome|firefox] [--adapter gpu|software]';

export const encode: Command = {
  usage,
  summary: 'run the encoder alone over features',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      output: { type: 'string', short: 'o' },
      lens: { type: 'string' },
      chunk: { type: 'string' },
      'states-in': { type: 'string' },
      'states-out': { type: 'string' },
    });
    const [folder, featuresPath, ...others] = positionals;
    const { output } = values;
    if (!folder || !featuresPath || others.length > 0 || !output) {
      throw usageError(`${positionals.length} paths and ${output ? 'an' : 'no'} output`, { usage });
    }
    const chunkFrames = count({ usage }, 'chunk', values.chunk);
    const model = await readModelFiles(folder);
    const { features, featureWidth, utterances, lengths } = await readBatch(featuresPath, values.lens);
    const statesIn = values['states-in'];
    const states = statesIn && {
      h: await loadNpy(join(statesIn, 'h.npy')),
      c: await loadNpy(join(statesIn, 'c.npy')),
    };

    await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('encoding');
      const result = await runtime
        .run(
          'encode',
          { model, features, featureWidth, lengths, chunkFrames, ...(states && { states }) },
          progress.listen,
        )
        .finally(() => progress.end());
      const { encoderOut, frames, h, c } = result;
      await writeOutput(output, writeNpy([utterances, frames, encoderOut.length / utterances / frames], encoderOut));
      if (values['states-out']) {
        const { layers } = result;
        await writeFolder(values['states-out'], {
          'h.npy': writeNpy([layers, utterances, h.length / layers / utterances], h),
          'c.npy': writeNpy([layers, utterances, c.length / layers / utterances], c),
        });
      }
      note(`${result.lengths.join(', ')} encoder frames`);
    });
  },
};
