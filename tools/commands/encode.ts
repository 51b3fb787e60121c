import { join } from 'node:path';
import { RillError } from '../../src/errors.ts';
import { shapeText } from '../../src/model/tensors.ts';
import { readInput, readModelFiles, writeFolder, writeOutput } from '../files.ts';
import { readNpy, writeNpy } from '../npy.ts';
import { Progress, note } from '../terminal.ts';
import { RUNTIME_OPTIONS, count, parse, usageError, withRuntime, type Command } from './arguments.ts';

const usage =
  'encode <model dir> <features.npy> -o <out.npy> [--lens lens.npy] [--chunk N] [--states-in DIR] [--states-out DIR] [--runtime node|chrome|firefox] [--adapter gpu|software]';

const load = async (path: string) => readNpy(await readInput(path), path);

/** Features as (utterances, frames, width), and the feature frames of each. */
async function readBatch(path: string, lensPath: string | undefined) {
  const { shape, data } = await load(path);
  if (shape.length !== 2 && shape.length !== 3) {
    throw new RillError('bad-argument', {
      got: `${path} of shape ${shapeText(shape)}`,
      expected: '(T, F) or (N, T, F)',
      remedy: 'Make features with rill features.',
    });
  }
  const [utterances, frames] = shape.length === 2 ? [1, shape[0]] : shape;
  const lens = lensPath ? await load(lensPath) : undefined;
  if (lens && lens.data.length !== utterances) {
    throw new RillError('bad-argument', {
      got: `${lensPath} with ${lens.data.length} lengths`,
      expected: `${utterances}, one for each utterance`,
      remedy: 'Give the number of feature frames of each utterance.',
    });
  }
  return {
    data,
    utterances,
    width: shape[shape.length - 1],
    lengths: lens ? [...lens.data] : Array<number>(utterances).fill(frames),
  };
}

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
    const { data, utterances, width, lengths } = await readBatch(featuresPath, values.lens);
    const statesIn = values['states-in'];
    const states = statesIn && {
      h: (await load(join(statesIn, 'h.npy'))).data,
      c: (await load(join(statesIn, 'c.npy'))).data,
    };

    await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('encoding');
      const result = await runtime
        .run(
          'encode',
          { model, features: data, featureWidth: width, lengths, chunkFrames, ...(states && { states }) },
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
