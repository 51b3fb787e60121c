import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import { readFeatures } from '../audio-features.ts';
import { writeOutput } from '../files.ts';
import { writeNpy } from '../npy.ts';
import { note } from '../terminal.ts';
import { parse, usageError, type Command, type Options } from './arguments.ts';

const usage = 'features <audio> -o <features.npy>';

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'FILE', help: 'the .npy file to write: (frames, mel bins)' },
} as const satisfies Options;

export const features: Command = {
  usage,
  summary: 'write the log-mel features (T, num_features) of an audio file',
  options: OPTIONS,
  example: 'features recording.wav -o features.npy',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} files and ${values.output ? 'an' : 'no'} output`, { usage });
    }
    const { features: values32, frames } = await readFeatures({ audio: positionals[0] }, FBANK_DEFAULTS);
    await writeOutput(values.output, writeNpy([frames, FBANK_DEFAULTS.numMelBins], values32));
    note(`${frames} frames of ${FBANK_DEFAULTS.numMelBins} mel bins`);
  },
};
