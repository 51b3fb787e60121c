import { exportSherpaOnnx } from '../../src/checkpoint/export-onnx.ts';
import { EXPORT_DTYPES } from '../../src/checkpoint/export-options.ts';
import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import { openModel } from '../../src/model/model.ts';
import { readModelFiles, writeFolder } from '../files.ts';
import { note } from '../terminal.ts';
import { count, oneOf, parse, usageError, type Command, type Options } from './arguments.ts';

const usage = 'export <model dir> -o <output dir> --format sherpa-onnx [options]';

const FORMATS = ['sherpa-onnx'] as const;

const OPTIONS = {
  output: { type: 'string', short: 'o', value: 'DIR', help: 'the folder to write' },
  format: { type: 'string', value: FORMATS.join('|'), help: 'who is to read it' },
  frames: {
    type: 'string',
    value: 'N',
    default: '1',
    help: 'encoder frames (40 ms) at a time: more are less work and more latency',
  },
  dtype: { type: 'string', value: EXPORT_DTYPES.join('|'), default: 'f32', help: 'what the encoder’s matrices are' },
} as const satisfies Options;

export const exportModel: Command = {
  usage,
  summary: 'turn a model folder into the encoder, decoder, joiner and tokens that sherpa-onnx reads',
  options: OPTIONS,
  example: 'export my-model -o for-phones --format sherpa-onnx --frames 4 --dtype int8',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    if (positionals.length !== 1 || !values.output) {
      const output = values.output ? 'an' : 'no';
      throw usageError(`${positionals.length} model folders and ${output} output folder`, { usage });
    }
    if (oneOf({ usage }, 'format', values.format, FORMATS) === undefined) {
      throw usageError('no --format', { usage });
    }
    const frames = count({ usage }, 'frames', values.frames);
    const dtype = oneOf({ usage }, 'dtype', values.dtype, EXPORT_DTYPES);
    const model = openModel(await readModelFiles(positionals[0]));
    const files = await exportSherpaOnnx(model, { frames, dtype });
    await writeFolder(values.output, { ...files });
    note(`wrote ${Object.keys(files).join(', ')} to ${values.output}`);
    const { sampleRate, numMelBins } = model.config.features;
    if (sampleRate !== FBANK_DEFAULTS.sampleRate || numMelBins !== FBANK_DEFAULTS.numMelBins) {
      note(`sherpa-onnx must be told: sample rate ${sampleRate}, feature dim ${numMelBins}`);
    }
  },
};
