import { Reader as ZipSource, Uint8ArrayWriter, ZipReader, configure, type FileEntry } from '@zip.js/zip.js';
import type { TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import type { ByteSource } from './bytes.ts';
import { unpickle } from './pickle.ts';
import {
  MAX_PICKLE_BYTES,
  findConstructor,
  findStateDict,
  storageOf,
  storedTensors,
  type StateDictChoice,
  type TorchArchive,
  type TorchFile,
} from './torch.ts';
import { readScriptModule } from './torchscript.ts';

configure({ useWebWorkers: false });

class ByteSourceReader extends ZipSource<ByteSource> {
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    super(source);
    this.#source = source;
    this.size = source.size;
  }

  override readUint8Array(offset: number, length: number): Promise<Uint8Array> {
    return this.#source.read(offset, length);
  }
}

/** Bytes of the records at the end of a zip: zip64's end and its locator, then the end that every zip has. */
const [ZIP64_BYTES, END_BYTES] = [56 + 20, 22];
const END_SIGNATURES: readonly (readonly [at: number, signature: number])[] = [
  [0, 0x06064b50],
  [56, 0x07064b50],
  [ZIP64_BYTES, 0x06054b50],
];

/**
 * A zip without zip64's records where it needs none: PyTorch always writes them, but zip.js (2.24) looks for them only
 * where they are needed. Else it expects the directory 76 bytes later than it is, and believes so if an entry happens
 * to begin there: the second does in each file that was saved under a name of 21 characters.
 */
async function withoutSpareZip64(source: ByteSource): Promise<ByteSource> {
  const cut = source.size - END_BYTES - ZIP64_BYTES;
  const end = cut < 0 ? new Uint8Array(0) : await source.read(cut, ZIP64_BYTES + END_BYTES);
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const hasRecords =
    end.length === ZIP64_BYTES + END_BYTES &&
    END_SIGNATURES.every(([at, signature]) => view.getUint32(at, true) === signature);
  const isNeeded = (at: number) => view.getUint32(ZIP64_BYTES + at, true) === 0xffffffff;
  // Entries (twice as 16 bits), bytes of the directory, where it begins.
  if (!hasRecords || view.getUint16(ZIP64_BYTES + 10, true) === 0xffff || isNeeded(12) || isNeeded(16)) {
    return source;
  }
  const size = source.size - ZIP64_BYTES;
  return {
    size,
    async read(offset, length) {
      if (offset + length <= cut) {
        return source.read(offset, length);
      }
      const last = Math.min(offset + length, size);
      const bytes = new Uint8Array(Math.max(0, last - offset));
      if (offset < cut) {
        bytes.set(await source.read(offset, cut - offset));
      }
      const start = Math.max(offset, cut);
      if (start < last) {
        bytes.set(end.subarray(ZIP64_BYTES + start - cut, ZIP64_BYTES + last - cut), start - offset);
      }
      return bytes;
    },
  };
}

/** Opens the zip; its reader trusts no stated size. */
async function openArchive(source: ByteSource): Promise<TorchArchive> {
  const words = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause));
  let entries;
  try {
    entries = await new ZipReader(new ByteSourceReader(await withoutSpareZip64(source))).getEntries();
  } catch (cause) {
    throw badCheckpoint(
      `${source.name ?? 'a file'} of ${source.size} bytes that cannot be read as a zip (${words(cause)})`,
      'a checkpoint that torch.save wrote',
      'If it is whole, load it in PyTorch and save it again; otherwise copy it again.',
    );
  }
  const pickle = entries.find(({ filename }) => /^[^/]*\/data\.pkl$/.test(filename));
  if (!pickle) {
    throw badCheckpoint('a zip without a data.pkl in its folder', 'a checkpoint that torch.save wrote');
  }
  const folder = pickle.filename.slice(0, -'data.pkl'.length);
  const files = new Map<string, FileEntry>();
  for (const entry of entries) {
    if (!entry.directory && entry.filename.startsWith(folder)) {
      files.set(entry.filename.slice(folder.length), entry);
    }
  }
  const read = async (name: string): Promise<Uint8Array> => {
    const entry = files.get(name);
    if (!entry) {
      throw badCheckpoint(`a zip without ${folder}${name}`, 'a checkpoint that torch.save wrote');
    }
    // What PyTorch compresses (TorchScript's code) is small; all else is stored, and no larger than the file.
    const small = entry.uncompressedSize <= MAX_PICKLE_BYTES;
    const stored = entry.compressionMethod === 0 && entry.uncompressedSize <= source.size;
    if (entry.encrypted || !(stored || (small && name.startsWith('code/')))) {
      throw badCheckpoint(
        `${name} stored compressed, encrypted or larger than its file`,
        'plain entries, as PyTorch writes them',
        'Load the checkpoint in PyTorch and save it again.',
      );
    }
    try {
      return await entry.getData(new Uint8ArrayWriter(), { checkSignature: true });
    } catch (cause) {
      throw badCheckpoint(`${name} that cannot be read (${words(cause)})`, 'a whole file');
    }
  };
  return { names: new Set(files.keys()), read };
}

/** Reads a pickle of an archive, bounded in size. */
async function readPickle({ read }: TorchArchive, name: string): Promise<Uint8Array> {
  const pickle = await read(name);
  if (pickle.length > MAX_PICKLE_BYTES) {
    throw badCheckpoint(
      `a ${name} of ${pickle.length} bytes`,
      `at most ${MAX_PICKLE_BYTES}; a state dict of a thousand tensors needs 200 KB`,
      'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.',
    );
  }
  return pickle;
}

/**
 * Opens a zip that `torch.save` (PyTorch 1.6 and later) or `torch.jit.save` wrote and lists its tensors, names as
 * they are. Nothing in the file is executed; a storage is read when its tensor is.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function openTorchZip(source: ByteSource, choice: StateDictChoice = {}): Promise<TensorSource> {
  const archive = await openArchive(source);
  const pickle = await readPickle(archive, 'data.pkl');
  if (archive.names.has('constants.pkl')) {
    if (choice.averaged) {
      throw badCheckpoint(
        'a TorchScript archive',
        'a training checkpoint with averaged weights',
        'Convert it without the option.',
      );
    }
    return readScriptModule(archive, pickle, await readPickle(archive, 'constants.pkl'), source.size);
  }
  const { root, sourceOf } = await understand(archive, pickle, source.size);
  return sourceOf(findStateDict(root, choice));
}

/**
 * Opens a zip that `torch.save` wrote, for all that is in it.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function readTorchZip(source: ByteSource): Promise<TorchFile> {
  const archive = await openArchive(source);
  return understand(archive, await readPickle(archive, 'data.pkl'), source.size);
}

async function understand({ names, read }: TorchArchive, pickle: Uint8Array, fileBytes: number): Promise<TorchFile> {
  const bigEndian = names.has('byteorder') && new TextDecoder().decode(await read('byteorder')).trim() === 'big';
  const { value: root } = unpickle(pickle, { findConstructor, persistentLoad: storageOf });
  return {
    root,
    sourceOf: (tensors) => storedTensors(tensors, fileBytes, bigEndian, ({ key }) => read(`data/${key}`)),
  };
}
