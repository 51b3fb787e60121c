import { EXPORT_DTYPES, exportSherpaOnnx } from '../../src/checkpoint/export-onnx.ts';
import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import { openModel } from '../../src/model/model.ts';
import { readModelFiles, writeFolder } from '../files.ts';
import { note } from '../terminal.ts';
import { count, parse, usageError, type Command } from './arguments.ts';

const usage = 'export <model dir> -o <output dir> --format sherpa-onnx [--frames N] [--dtype f32|int8]';

export const exportModel: Command = {
  usage,
  summary: 'turn a model folder into the encoder, decoder, joiner and tokens that sherpa-onnx reads',
  details: [
    '--frames N     encoder frames (40 ms) that the encoder takes at a time, 1 by default; more are less work for',
    '               each second of sound, and more latency',
    '--dtype int8   a quarter of the size, as onnxruntime’s dynamic quantization; decoder and joiner stay f32',
  ],
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      output: { type: 'string', short: 'o' },
      format: { type: 'string' },
      frames: { type: 'string' },
      dtype: { type: 'string', default: 'f32' },
    });
    if (positionals.length !== 1 || !values.output) {
      throw usageError(`${positionals.length} model folders and ${values.output ? 'an' : 'no'} output folder`, {
        usage,
      });
    }
    if (values.format !== 'sherpa-onnx') {
      throw usageError(values.format === undefined ? 'no --format' : `--format ${values.format}`, { usage });
    }
    const dtype = EXPORT_DTYPES.find((each) => each === values.dtype);
    if (!dtype) {
      throw usageError(`--dtype ${values.dtype} (it must be ${EXPORT_DTYPES.join(' or ')})`, { usage });
    }
    const model = openModel(await readModelFiles(positionals[0]));
    const files = await exportSherpaOnnx(model, { frames: count({ usage }, 'frames', values.frames), dtype });
    await writeFolder(values.output, { ...files });
    note(`wrote ${Object.keys(files).join(', ')} to ${values.output}`);
    const { sampleRate, numMelBins } = model.config.features;
    if (sampleRate !== FBANK_DEFAULTS.sampleRate || numMelBins !== FBANK_DEFAULTS.numMelBins) {
      note(`sherpa-onnx must be told: sample rate ${sampleRate}, feature dim ${numMelBins}`);
    }
  },
};
