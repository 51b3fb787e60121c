import { shown } from '../errors.ts';
import { elementCount } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import type { ByteSource } from './bytes.ts';
import { DATA_TYPE, type OnnxGraph, type OnnxTensor } from './onnx-graph.ts';

/** Finds a file by its path from the model's folder. */
export type FindBeside = (path: string) => Promise<ByteSource | undefined>;

/** Bytes of an element, by its type. */
const ELEMENT_BYTES: Readonly<Record<number, number>> = {
  [DATA_TYPE.float]: 4,
  [DATA_TYPE.uint8]: 1,
  [DATA_TYPE.int8]: 1,
  [DATA_TYPE.int32]: 4,
  [DATA_TYPE.int64]: 8,
  [DATA_TYPE.float16]: 2,
  [DATA_TYPE.double]: 8,
  [DATA_TYPE.bfloat16]: 2,
};

/** Where the elements of a tensor lie in its file: `length` bytes from `offset` on. */
function rangeOf(
  { name, shape, dataType, external }: OnnxTensor,
  fileBytes: number,
): { offset: number; length: number } {
  const offset = Number(external.get('offset') ?? 0);
  const stated = external.get('length');
  const length = stated === undefined ? elementCount(shape) * (ELEMENT_BYTES[dataType] ?? 0) : Number(stated);
  const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if (!isSize(offset) || !isSize(length) || offset + length > fileBytes) {
    throw badCheckpoint(
      `${shown(name)} at bytes ${offset} to ${offset + length} of a file of ${fileBytes}`,
      'elements inside the file that holds them',
      'Export the model again; its file of weights is cut off or belongs to another model.',
    );
  }
  return { offset, length };
}

/**
 * Reads what the tensors of a graph keep in other files (external data). Of each file no more is read than it has:
 * tensors may share a stretch, but not overlap otherwise.
 *
 * @param model the model's file, for errors
 * @returns the bytes of the other files, all together
 * @throws RillError `bad-checkpoint` for a file that is missing or too short.
 */
export async function readExternal({ constants }: OnnxGraph, model: ByteSource, find: FindBeside): Promise<number> {
  const files = new Map<string, ByteSource>();
  const stretches = new Map<string, Uint8Array>();
  let [total, taken] = [0, 0];
  for (const tensor of constants.values()) {
    if (!tensor.isExternal) {
      continue;
    }
    const location = tensor.external.get('location') ?? '';
    const file = files.get(location) ?? (await find(location));
    if (!file) {
      throw badCheckpoint(
        `${model.name ?? 'an ONNX model'} without ${shown(location)}, where it keeps its weights`,
        'that file beside it',
        'Keep both in one folder under their own names, and give both where files are named or dropped one by one.',
      );
    }
    if (!files.has(location)) {
      files.set(location, file);
      total += file.size;
    }
    const { offset, length } = rangeOf(tensor, file.size);
    const key = `${location} ${offset} ${length}`;
    if (!stretches.has(key)) {
      taken += length;
      if (taken > total) {
        throw badCheckpoint(`tensors of ${taken} bytes in files of ${total}`, 'tensors that do not overlap');
      }
      stretches.set(key, await file.read(offset, length));
    }
    tensor.raw = stretches.get(key) ?? tensor.raw;
  }
  return total;
}
