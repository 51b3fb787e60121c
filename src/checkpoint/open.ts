import { RillError } from '../errors.ts';
import { FOREIGN_BYTES, foreignFile } from '../model/foreign.ts';
import { parseSafetensorsHeader, safetensorsHeaderLength, safetensorsSource } from '../model/safetensors.ts';
import type { TensorSource } from '../model/tensors.ts';
import type { ByteSource } from './bytes.ts';
import { isOnnx, openOnnx } from './onnx.ts';
import type { FindBeside } from './onnx-external.ts';
import { isTorchLegacy, openTorchLegacy, readTorchLegacy } from './torch-legacy.ts';
import { openTorchZip, readTorchZip } from './torch-zip.ts';
import type { StateDictChoice, TorchFile } from './torch.ts';

const startsWith = (bytes: Uint8Array, text: string) =>
  [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));

/** A safetensors file, read in pieces. */
async function openSafetensors(source: ByteSource): Promise<TensorSource> {
  const length = safetensorsHeaderLength(await source.read(0, 8), source.size);
  const start = 8 + length;
  const entries = parseSafetensorsHeader(await source.read(8, length), source.size - start);
  return safetensorsSource(entries, (begin, end) => source.read(start + begin, end - begin));
}

/** The first bytes: as many as tell the formats apart. */
const readStart = (source: ByteSource) => source.read(0, Math.min(FOREIGN_BYTES, source.size));

/**
 * Opens a checkpoint of any format, told by its first bytes, and lists its tensors, names as they are.
 *
 * @param findBeside finds the files that an ONNX model keeps its weights in
 * @throws RillError `bad-checkpoint`, `bad-model` for a damaged safetensors header.
 */
export async function openTensors(
  source: ByteSource,
  choice: StateDictChoice = {},
  findBeside: FindBeside = async (path) => source.beside?.(path),
): Promise<TensorSource> {
  const start = await readStart(source);
  const foreign = foreignFile(start, source.name ?? 'a file');
  if (foreign) {
    throw new RillError('bad-checkpoint', foreign);
  }
  if (isTorchLegacy(start)) {
    return openTorchLegacy(source, choice);
  }
  const isOneSet = isOnnx(start) || startsWith(start.subarray(8), '{');
  if (choice.averaged && isOneSet) {
    throw new RillError('bad-checkpoint', {
      got: 'a file that holds one set of weights',
      expected: 'a training checkpoint with averaged weights under "model_avg"',
      remedy: 'Convert it without the option.',
    });
  }
  if (isOnnx(start)) {
    return openOnnx(source, findBeside);
  }
  return isOneSet ? openSafetensors(source) : openTorchZip(source, choice);
}

/**
 * Opens a file of `torch.save`, for all that is in it.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function openTorch(source: ByteSource): Promise<TorchFile> {
  return isTorchLegacy(await readStart(source)) ? readTorchLegacy(source) : readTorchZip(source);
}

const isNamedOnnx = ({ name }: ByteSource) => name === undefined || /\.onnx$/i.test(name);
const isNamedInt8 = ({ name = '' }: ByteSource) => name.includes('int8');

/** Several files as one checkpoint: the ONNX trio, and the files that its parts keep their weights in. */
export async function openTogether(
  sources: readonly ByteSource[],
  choice: StateDictChoice = {},
): Promise<TensorSource> {
  const taken = new Set<ByteSource>();
  const open = (source: ByteSource) =>
    openTensors(source, choice, async (path) => {
      const name = path.slice(path.lastIndexOf('/') + 1);
      const file = (await source.beside?.(path)) ?? sources.find((each) => each !== source && each.name === name);
      if (file) {
        taken.add(file);
      }
      return file;
    });
  // First the models: they tell which of the other files are theirs. Of two exports of a part the one in floats counts,
  // since it comes last.
  const models = sources.filter(isNamedOnnx).sort((a, b) => Number(isNamedInt8(b)) - Number(isNamedInt8(a)));
  const opened = await Promise.all(models.map(open));
  const others = sources.filter((source) => !isNamedOnnx(source) && !taken.has(source));
  opened.push(...(await Promise.all(others.map(open))));
  const owners = new Map(opened.flatMap((each) => [...each.tensors.keys()].map((name) => [name, each] as const)));
  return {
    tensors: new Map(opened.flatMap(({ tensors }) => [...tensors])),
    async read(name) {
      return (owners.get(name) ?? opened[0]).read(name);
    },
  };
}
