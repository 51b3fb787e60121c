import { FBANK_DEFAULTS, fbank } from '../../src/features/fbank.ts';
import { requireFinite } from '../../src/model/tensors.ts';
import { Resampler } from '../../src/waveform/resampler.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { readInput, writeOutput } from '../files.ts';
import { writeNpy } from '../npy.ts';
import { note } from '../terminal.ts';
import { parse, usageError, type Command } from './arguments.ts';

const usage = 'features <audio> -o <features.npy>';

export const features: Command = {
  usage,
  summary: 'write the log-mel features (T, num_features) of an audio file',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, { output: { type: 'string', short: 'o' } });
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} files and ${values.output ? 'an' : 'no'} output`, { usage });
    }
    const { samples, sampleRate } = readWav(await readInput(positionals[0]));
    const resampler = new Resampler(sampleRate, FBANK_DEFAULTS.sampleRate);
    const head = resampler.accept(samples);
    const tail = resampler.finish();
    const all = new Float32Array(head.length + tail.length);
    all.set(head);
    all.set(tail, head.length);
    requireFinite('bad-audio', positionals[0], all);
    const values32 = fbank(all);
    const frames = values32.length / FBANK_DEFAULTS.numMelBins;
    await writeOutput(values.output, writeNpy([frames, FBANK_DEFAULTS.numMelBins], values32));
    note(`${frames} frames of ${FBANK_DEFAULTS.numMelBins} mel bins`);
  },
};
