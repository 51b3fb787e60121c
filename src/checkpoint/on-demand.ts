/** The converter as a page has it: loaded when it is first asked for, since most pages only recognise. */
import { RillError } from '../errors.ts';
import type { Model, ModelFiles } from '../model/model.ts';
import type { ByteSource } from './bytes.ts';
import type { ConvertOptions } from './convert.ts';
import type { ExportOptions, SherpaOnnxFiles } from './export-options.ts';

/** @throws RillError `network` */
async function loadConverter() {
  try {
    return await import('./converter.ts');
  } catch (cause) {
    throw new RillError(
      'network',
      {
        got: `no converter (${String(cause)})`,
        expected:
          'its file beside the one that imports it: rill-converter.min.js beside rill.min.js, or a chunk of the build',
        remedy: 'Host all files of the build together, and import rill.min.js by its full address.',
      },
      { cause },
    );
  }
}

/**
 * Converts a checkpoint into the files of a model folder.
 *
 * @param source a PyTorch, TorchScript, safetensors or ONNX file, or the files of an ONNX trio, with those that its
 *   weights lie in; those are found by name
 *
 * @throws RillError `bad-checkpoint` for the checkpoint, `bad-model` for config and tokens.
 */
export async function convertCheckpoint(
  source: Blob | ByteSource | readonly (Blob | ByteSource)[],
  options?: ConvertOptions,
): Promise<ModelFiles> {
  return (await loadConverter()).convertCheckpoint(source, options);
}

/**
 * Turns a model into the files that sherpa-onnx reads as a streaming transducer (`model_type` lstm), for phones, boards
 * and servers. {@link convertCheckpoint} reads them back: weights come back bit for bit, but that the two biases of an
 * LSTM are one sum, and BasicNorm's eps are rounded once more; as int8 the encoder's matrices are rounded.
 *
 * @param model one with a transducer head and tokens, its blank 0, its features icefall's; sherpa-onnx must be told a
 *   sample rate or a number of mel bins other than 16000 and 80
 * @throws RillError `bad-model` for any other model and for weights of more than 2 GB, `bad-argument` for options out of
 *   range.
 */
export async function exportSherpaOnnx(model: Model, options?: ExportOptions): Promise<SherpaOnnxFiles> {
  return (await loadConverter()).exportSherpaOnnx(model, options);
}
