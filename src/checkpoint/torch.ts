import { Reader as ZipSource, Uint8ArrayWriter, ZipReader, configure, type FileEntry } from '@zip.js/zip.js';
import { RillError } from '../errors.ts';
import {
  DTYPE_BYTES,
  decodeFloats,
  elementCount,
  shapeText,
  type DType,
  type TensorInfo,
  type TensorSource,
} from '../model/tensors.ts';
import type { ByteSource } from './bytes.ts';
import { unpickle, type Constructor, type PickleValue } from './pickle.ts';

configure({ useWebWorkers: false });

/** Storage classes of PyTorch: what they are called here, bytes per element, and whether they hold weights. */
const STORAGES: Readonly<Record<string, { dtype: string; bytes: number }>> = {
  DoubleStorage: { dtype: 'F64', bytes: 8 },
  FloatStorage: { dtype: 'F32', bytes: 4 },
  HalfStorage: { dtype: 'F16', bytes: 2 },
  BFloat16Storage: { dtype: 'BF16', bytes: 2 },
  LongStorage: { dtype: 'I64', bytes: 8 },
  IntStorage: { dtype: 'I32', bytes: 4 },
  ShortStorage: { dtype: 'I16', bytes: 2 },
  CharStorage: { dtype: 'I8', bytes: 1 },
  ByteStorage: { dtype: 'U8', bytes: 1 },
  BoolStorage: { dtype: 'BOOL', bytes: 1 },
};

/**
 * The values that a pickle makes can take some hundred times its own size in memory; a training checkpoint's,
 * optimizer and all, is far below this.
 */
const MAX_PICKLE_BYTES = 4 << 20;

class StorageType {
  readonly dtype: string;
  readonly bytes: number;

  constructor({ dtype, bytes }: { dtype: string; bytes: number }) {
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

/** A storage as the pickle names it; its bytes are an entry of the zip. */
class StorageRef {
  readonly type: StorageType;
  readonly key: string;
  /** Elements. */
  readonly count: number;

  constructor(type: StorageType, key: string, count: number) {
    this.type = type;
    this.key = key;
    this.count = count;
  }
}

/** A tensor as the pickle describes it: a view of a storage. */
class TensorRef implements TensorInfo {
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: StorageRef, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  get dtype(): string {
    return this.storage.type.dtype;
  }
}

function bad(
  got: string,
  expected: string,
  remedy = 'Copy the checkpoint again; this file is damaged or foreign.',
): RillError {
  return new RillError('bad-checkpoint', { got, expected, remedy });
}

const isSize = (value: PickleValue): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isSizes = (value: PickleValue): value is number[] => Array.isArray(value) && value.every(isSize);

const rebuildTensor: Constructor = ([storage, offset, shape, strides]) => {
  if (
    !(storage instanceof StorageRef) ||
    !isSize(offset) ||
    !isSizes(shape) ||
    !isSizes(strides) ||
    shape.length !== strides.length
  ) {
    throw bad('a tensor whose storage, offset, shape or strides are not what PyTorch writes', 'a state dict');
  }
  const last = shape.reduce((index, size, axis) => index + (size - 1) * strides[axis], offset);
  const count = elementCount(shape);
  // A tensor may not be larger than what it is a view of, so that nothing is allocated that the file does not hold.
  if (count > 0 && (last >= storage.count || count > storage.count)) {
    throw bad(
      `a tensor of shape ${shapeText(shape)} in a storage of ${storage.count} elements`,
      'a view inside its storage',
    );
  }
  return new TensorRef(storage, offset, shape, strides);
};

const inert: Constructor = (args) => args;

/**
 * The whole of what a checkpoint may name. Beside tensors these are plain containers and values that training
 * scripts keep next to the weights; none of them does anything.
 */
const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_tensor', rebuildTensor],
  ['torch._utils _rebuild_parameter', ([tensor]) => tensor],
  ['collections OrderedDict', () => new Map()],
  ['collections defaultdict', () => new Map()],
  ['icefall.utils AttributeDict', () => new Map()],
  ['torch Size', inert],
  ['torch device', inert],
  ['pathlib PosixPath', inert],
  ['pathlib WindowsPath', inert],
  ...['int', 'float', 'str', 'bool', 'list', 'dict', 'set'].flatMap((name): [string, Constructor][] => [
    [`builtins ${name}`, inert],
    [`__builtin__ ${name}`, inert],
  ]),
  ...Object.keys(STORAGES).map((name): [string, Constructor] => [`torch ${name}`, storageConstructor(name)]),
]);

/** Storage classes are never called; the object itself says which class a persistent id names. */
function storageConstructor(name: string): Constructor {
  const type = new StorageType(STORAGES[name]);
  return Object.assign(() => type, { type });
}

function storageOf(id: PickleValue): StorageRef {
  const [kind, storage, key, , count] = Array.isArray(id) ? (id as PickleValue[]) : [];
  const type: unknown = typeof storage === 'function' && 'type' in storage ? storage.type : undefined;
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isSize(count)) {
    throw bad('a persistent id that is not a storage', 'a checkpoint that torch.save wrote');
  }
  return new StorageRef(type, key, count);
}

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

/** The entries of a zip by name, and a reader of their bytes that trusts no stated size. */
async function openZip(source: ByteSource) {
  let entries;
  try {
    entries = await new ZipReader(new ByteSourceReader(source)).getEntries();
  } catch (cause) {
    throw bad(
      `a file of ${source.size} bytes that cannot be read as a zip (${cause instanceof Error ? cause.message : String(cause)})`,
      'a checkpoint that torch.save wrote (PyTorch 1.6 or later)',
      'If it is whole, load it in PyTorch and save it again; otherwise copy it again.',
    );
  }
  const files = new Map<string, FileEntry>();
  for (const entry of entries) {
    if (!entry.directory) {
      files.set(entry.filename, entry);
    }
  }
  const read = async (name: string): Promise<Uint8Array> => {
    const entry = files.get(name);
    if (!entry) {
      throw bad(`a zip without ${name}`, 'a checkpoint that torch.save wrote');
    }
    // PyTorch never compresses, so an entry can be no larger than the file.
    if (entry.compressionMethod !== 0 || entry.encrypted || entry.uncompressedSize > source.size) {
      throw bad(
        `${name} stored compressed, encrypted or larger than its file`,
        'plain entries, as PyTorch writes them',
        'Load the checkpoint in PyTorch and save it again.',
      );
    }
    try {
      return await entry.getData(new Uint8ArrayWriter(), { checkSignature: true });
    } catch (cause) {
      throw bad(
        `${name} that cannot be read (${cause instanceof Error ? cause.message : String(cause)})`,
        'a whole file',
      );
    }
  };
  return { files, read };
}

/** The dict of tensors in a checkpoint: its root, or what stands under one of the usual names. */
function findStateDict(root: PickleValue): Map<PickleValue, PickleValue> {
  const candidates = [root];
  if (root instanceof Map) {
    candidates.unshift(...['model', 'model_state_dict', 'state_dict'].map((key) => root.get(key) ?? null));
  }
  for (const candidate of candidates) {
    if (candidate instanceof Map && [...candidate.values()].some((value) => value instanceof TensorRef)) {
      return candidate;
    }
  }
  throw bad(
    'a checkpoint without a dict of tensors at its root or under "model", "model_state_dict" or "state_dict"',
    'a state dict',
    'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.',
  );
}

/**
 * Opens a checkpoint that `torch.save` wrote as a zip (PyTorch 1.6 and later) and lists the tensors of its
 * state dict, names as they are. Nothing in the file is executed; a storage is read when its tensor is.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function openTorchCheckpoint(source: ByteSource): Promise<TensorSource> {
  const { files, read } = await openZip(source);
  const pickleName = [...files.keys()].find((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (!pickleName) {
    throw bad('a zip without a data.pkl in its folder', 'a checkpoint that torch.save wrote');
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  const bigEndian =
    files.has(`${folder}byteorder`) && new TextDecoder().decode(await read(`${folder}byteorder`)).trim() === 'big';
  const pickle = await read(pickleName);
  if (pickle.length > MAX_PICKLE_BYTES) {
    throw bad(
      `a data.pkl of ${pickle.length} bytes`,
      `at most ${MAX_PICKLE_BYTES}; a state dict of a thousand tensors needs 200 KB`,
      'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.',
    );
  }
  const { value } = unpickle(pickle, { constructors: CONSTRUCTORS, persistentLoad: storageOf });

  const tensors = new Map<string, TensorRef>();
  let elements = 0;
  for (const [name, tensor] of findStateDict(value)) {
    if (typeof name === 'string' && tensor instanceof TensorRef) {
      tensors.set(name, tensor);
      elements += elementCount(tensor.shape);
    }
  }
  if (elements > source.size) {
    throw bad(`tensors of ${elements} elements in a file of ${source.size} bytes`, 'no more elements than bytes');
  }

  // Tensors that share a storage usually follow each other, so the last one read is kept.
  let last: { key: string; bytes: Uint8Array } | undefined;
  const readStorage = async (key: string): Promise<Uint8Array> => {
    if (last?.key !== key) {
      last = { key, bytes: await read(`${folder}data/${key}`) };
    }
    return last.bytes;
  };
  return {
    tensors,
    async read(name) {
      const tensor = tensors.get(name);
      if (!tensor || !(tensor.dtype in DTYPE_BYTES)) {
        throw bad(
          tensor ? `${name} of type ${tensor.dtype}` : `no tensor ${name}`,
          'a floating-point tensor of that name',
        );
      }
      const { count, key } = tensor.storage;
      const bytes = await readStorage(key);
      if (bytes.length < count * tensor.storage.type.bytes) {
        throw bad(`a storage of ${bytes.length} bytes for ${name}`, `${count * tensor.storage.type.bytes} bytes`);
      }
      return gather(tensor, bytes, tensor.dtype as DType, bigEndian);
    },
  };
}

/** The elements of a view in C order. */
function gather(
  { offset, shape, strides }: TensorRef,
  bytes: Uint8Array,
  dtype: DType,
  bigEndian: boolean,
): Float32Array<ArrayBuffer> {
  const width = DTYPE_BYTES[dtype];
  const count = elementCount(shape);
  const picked = new Uint8Array(count * width);
  const index = new Array<number>(shape.length).fill(0);
  let from = offset;
  // Rows whose elements lie side by side are copied whole.
  const rank = shape.length;
  const run = rank > 0 && strides[rank - 1] === 1 ? shape[rank - 1] : 1;
  for (let done = 0; done < count; done += run) {
    picked.set(bytes.subarray(from * width, (from + run) * width), done * width);
    for (let axis = run > 1 ? rank - 2 : rank - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) {
        break;
      }
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  if (bigEndian) {
    for (let i = 0; i < picked.length; i += width) {
      picked.subarray(i, i + width).reverse();
    }
  }
  return decodeFloats(picked, dtype);
}
