import { badCheckpoint } from './bad-checkpoint.ts';
import type { TensorSource } from '../model/tensors.ts';
import type { ByteSource } from './bytes.ts';
import { unpickle, type PickleValue } from './pickle.ts';
import {
  MAX_PICKLE_BYTES,
  findConstructor,
  findStateDict,
  storageOf,
  storedTensors,
  StorageRef,
  type StateDictChoice,
  type TorchFile,
} from './torch.ts';

/** The magic number 0x1950a86a20f9469cfc6c that legacy files start with, pickled, behind protocol and frame. */
const MAGIC = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
/** Bytes of the protocol's number, and of a frame's head, which protocols from 4 on have. */
const [PROTOCOL_BYTES, FRAME_BYTES] = [2, 9];

/** Where the first pickle of a legacy file ends; undefined for any other file. */
function magicEnd(start: Uint8Array): number | undefined {
  const begin = start[PROTOCOL_BYTES] === 0x95 ? PROTOCOL_BYTES + FRAME_BYTES : PROTOCOL_BYTES;
  const isMagic = start[0] === 0x80 && MAGIC.every((byte, i) => start[begin + i] === byte);
  return isMagic ? begin + MAGIC.length : undefined;
}

export const isTorchLegacy = (start: Uint8Array) => magicEnd(start) !== undefined;

/**
 * Opens a file that `torch.save` wrote before PyTorch 1.6, and lists its tensors.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function openTorchLegacy(source: ByteSource, choice: StateDictChoice = {}): Promise<TensorSource> {
  const { root, sourceOf } = await readTorchLegacy(source);
  return sourceOf(findStateDict(root, choice));
}

/**
 * Opens a file that `torch.save` wrote before PyTorch 1.6, or with `_use_new_zipfile_serialization=False`: five
 * pickles (magic number, protocol, system, object, storage keys), then each storage as a count and its elements.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function readTorchLegacy(source: ByteSource): Promise<TorchFile> {
  const start = await source.read(0, Math.min(source.size, MAX_PICKLE_BYTES));
  const isCut = source.size > MAX_PICKLE_BYTES;
  const storages = new Map<string, StorageRef>();
  const persistentLoad = (id: PickleValue) => {
    const storage = storageOf(id);
    if (storage instanceof StorageRef) {
      storages.set(storage.key, storage);
    }
    return storage;
  };
  let position = magicEnd(start) ?? 0;
  const next = () => {
    const { value, end } = unpickle(start, { findConstructor, persistentLoad, isCut }, position);
    position = end;
    return value;
  };
  next(); // the protocol's version
  const system = next();
  const root = next();
  const keys = next();
  const bigEndian = system instanceof Map && system.get('little_endian') === false;
  const offsets = new Map<string, number>();
  for (const key of Array.isArray(keys) ? (keys as PickleValue[]) : []) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage) {
      // Its elements are of a type that is not known here: where the storages behind it begin cannot be told.
      break;
    }
    const header = await source.read(position, 8);
    if (header.length < 8 || position + 8 + storage.byteLength > source.size) {
      throw badCheckpoint(`a storage that begins at byte ${position} of ${source.size}`, 'a whole file');
    }
    const count = new DataView(header.buffer, header.byteOffset, 8).getBigInt64(0, !bigEndian);
    if (count !== BigInt(storage.count)) {
      throw badCheckpoint(`a storage of ${count} elements`, `${storage.count}, as its tensors have it`);
    }
    offsets.set(storage.key, position + 8);
    position += 8 + storage.byteLength;
  }
  const read = async (storage: StorageRef) => {
    const offset = offsets.get(storage.key);
    if (offset === undefined) {
      throw badCheckpoint(
        'a tensor whose storage is not in the file, or lies behind one of a type that is not known',
        'a whole file',
        'Load the checkpoint in PyTorch and save its state dict alone.',
      );
    }
    return source.read(offset, storage.byteLength);
  };
  return { root, sourceOf: (tensors) => storedTensors(tensors, source.size, bigEndian, read) };
}
