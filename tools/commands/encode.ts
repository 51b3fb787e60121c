import { join } from 'node:path';
import { readModelFiles, writeFolder, writeOutput } from '../files.ts';
import { writeNpy } from '../npy.ts';
import { Progress, note } from '../terminal.ts';
import { RUNTIME_OPTIONS, count, parse, usageError, withRuntime, type Command, type Options } from './arguments.ts';
import { LENS_OPTION, loadNpy, readBatch } from './batch.ts';

const usage = 'encode <model dir> <features.npy> -o <out.npy> [options]';

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'FILE', help: 'the .npy file to write: (utterances, frames, d_model)' },
  lens: LENS_OPTION,
  chunk: {
    type: 'string',
    value: 'N',
    help: 'encoder frames of each utterance in a step, all of them streamed side by side',
    otherwise: 'whole utterances in one batch',
  },
  'states-in': {
    type: 'string',
    value: 'DIR',
    help: 'a folder with h.npy and c.npy to start from',
    otherwise: 'zeros',
  },
  'states-out': { type: 'string', value: 'DIR', help: 'a folder for the states at the end' },
  ...RUNTIME_OPTIONS,
} as const satisfies Options;

export const encode: Command = {
  usage,
  summary: 'run the encoder alone over features',
  options: OPTIONS,
  example: 'encode my-model features.npy -o out.npy --chunk 4 --states-out states',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
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
