import { RillError } from '../errors.ts';
import { parseSafetensorsHeader, safetensorsHeaderLength, safetensorsSource } from '../model/safetensors.ts';
import type { TensorSource } from '../model/tensors.ts';
import type { ByteSource } from './bytes.ts';
import { isOnnx, openOnnx } from './onnx.ts';
import { isTorchLegacy, openTorchLegacy } from './torch-legacy.ts';
import { openTorchZip } from './torch-zip.ts';
import type { StateDictChoice } from './torch.ts';

/** As many as tell the formats apart. */
const START_BYTES = 32;

const startsWith = (bytes: Uint8Array, text: string) =>
  [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));

/** A safetensors file, read in pieces. */
async function openSafetensors(source: ByteSource): Promise<TensorSource> {
  const length = safetensorsHeaderLength(await source.read(0, 8), source.size);
  const start = 8 + length;
  const entries = parseSafetensorsHeader(await source.read(8, length), source.size - start);
  return safetensorsSource(entries, (begin, end) => source.read(start + begin, end - begin));
}

/**
 * Opens a checkpoint of any format, told by its first bytes, and lists its tensors, names as they are.
 *
 * @throws RillError `bad-checkpoint`, `bad-model` for a damaged safetensors header.
 */
export async function openTensors(source: ByteSource, choice: StateDictChoice = {}): Promise<TensorSource> {
  const start = await source.read(0, Math.min(START_BYTES, source.size));
  if (isTorchLegacy(start)) {
    return openTorchLegacy(source, choice);
  }
  const open = isOnnx(start) ? openOnnx : startsWith(start.subarray(8), '{') ? openSafetensors : undefined;
  if (choice.averaged && open) {
    throw new RillError('bad-checkpoint', {
      got: 'a file that holds one set of weights',
      expected: 'a training checkpoint with averaged weights under "model_avg"',
      remedy: 'Convert it without the option.',
    });
  }
  return open ? open(source) : openTorchZip(source, choice);
}

/** Several files as one checkpoint, as the ONNX trio is. */
export async function openTogether(
  sources: readonly ByteSource[],
  choice: StateDictChoice = {},
): Promise<TensorSource> {
  const opened = await Promise.all(sources.map((source) => openTensors(source, choice)));
  const owners = new Map(opened.flatMap((each) => [...each.tensors.keys()].map((name) => [name, each] as const)));
  return {
    tensors: new Map(opened.flatMap(({ tensors }) => [...tensors])),
    async read(name) {
      return (owners.get(name) ?? opened[0]).read(name);
    },
  };
}
