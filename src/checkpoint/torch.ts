/** What all of PyTorch's file formats share: storages, tensors as views of them, and the allow-list of a pickle. */
import {
  DTYPE_BYTES,
  MAX_RANK,
  decodeFloats,
  elementCount,
  shapeText,
  type DType,
  type TensorInfo,
  type TensorSource,
} from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import { encodersIn } from './fold.ts';
import { Opaque, type Constructor, type PickleValue } from './pickle.ts';

/** Storage classes of PyTorch: what they are called here, and bytes per element. */
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
  ComplexFloatStorage: { dtype: 'C64', bytes: 8 },
  ComplexDoubleStorage: { dtype: 'C128', bytes: 16 },
  QInt8Storage: { dtype: 'QI8', bytes: 1 },
  QUInt8Storage: { dtype: 'QU8', bytes: 1 },
  QInt32Storage: { dtype: 'QI32', bytes: 4 },
  QUInt4x2Storage: { dtype: 'QU4X2', bytes: 1 },
  QUInt2x4Storage: { dtype: 'QU2X4', bytes: 1 },
};

/**
 * The values that a pickle makes can take some hundred times its own size in memory; a training checkpoint's,
 * optimizer and all, is far below this.
 */
export const MAX_PICKLE_BYTES = 4 << 20;

/** Tensors of one state dict, and characters of their whole names: a pickle can name one thing many times over. */
const MAX_TENSORS = 100_000;
const MAX_NAME = 256;
/** Dicts inside dicts that names are made of. */
const MAX_DEPTH = 4;

const STATE_DICT_ALONE = 'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.';

/** The key of the running average in icefall's training checkpoints. */
const AVERAGED = 'model_avg';

class StorageType {
  readonly dtype: string;
  readonly bytes: number;

  constructor({ dtype, bytes }: { dtype: string; bytes: number }) {
    this.dtype = dtype;
    this.bytes = bytes;
  }
}

/** A storage as a pickle names it; where its bytes are is the file format's affair. */
export class StorageRef {
  readonly type: StorageType;
  readonly key: string;
  /** Elements. */
  readonly count: number;

  constructor(type: StorageType, key: string, count: number) {
    this.type = type;
    this.key = key;
    this.count = count;
  }

  get byteLength(): number {
    return this.count * this.type.bytes;
  }
}

/** A tensor as a pickle describes it: a view of a storage. */
export class TensorRef implements TensorInfo {
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

const isSize = (value: PickleValue): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isSizes = (value: PickleValue): value is number[] =>
  Array.isArray(value) && value.length <= MAX_RANK && value.every(isSize);

/** A view of a storage; what cannot be one is passed over, and refused when it is needed. */
const rebuildTensor: Constructor = ([storage, offset, shape, strides]) => {
  if (storage instanceof Opaque) {
    return storage;
  }
  if (
    !(storage instanceof StorageRef) ||
    !isSize(offset) ||
    !isSizes(shape) ||
    !isSizes(strides) ||
    shape.length !== strides.length
  ) {
    return new Opaque('a tensor whose storage, offset, shape or strides are not what PyTorch writes');
  }
  const last = shape.reduce((index, size, axis) => index + (size - 1) * strides[axis], offset);
  if (elementCount(shape) > 0 && last >= storage.count) {
    return new Opaque(`a tensor of shape ${shapeText(shape)} in a storage of ${storage.count} elements`);
  }
  return new TensorRef(storage, offset, shape, strides);
};

/** What a function of the list makes of its arguments: tensors with attributes come behind another function. */
const rebuildFromType: Constructor = ([rebuild, , args]) =>
  typeof rebuild === 'function' && Array.isArray(args)
    ? (rebuild as Constructor)(args as PickleValue[])
    : new Opaque('a tensor of a class of its own');

const first: Constructor = ([value = null]) => value;
const emptyDict: Constructor = () => new Map();

/** Storage classes are never called; the object itself says which class a persistent id names. */
function storageConstructor(name: string): Constructor {
  const type = new StorageType(STORAGES[name]);
  return Object.assign(() => type, { type });
}

/** All that is called in a pickle: what makes tensors and dicts. Everything else is passed over. */
const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_tensor', rebuildTensor],
  ['torch._utils _rebuild_parameter', first],
  ['torch._utils _rebuild_parameter_with_state', first],
  ['torch._tensor _rebuild_from_type', rebuildFromType],
  ['torch._tensor _rebuild_from_type_v2', rebuildFromType],
  ['torch Size', first],
  ['collections OrderedDict', emptyDict],
  ['collections defaultdict', emptyDict],
  ['builtins dict', emptyDict],
  ['__builtin__ dict', emptyDict],
  ['icefall.utils AttributeDict', emptyDict],
  ...Object.keys(STORAGES).map((name): [string, Constructor] => [`torch ${name}`, storageConstructor(name)]),
]);

/** The entries of a PyTorch zip, by their names inside its one folder. */
export interface TorchArchive {
  names: ReadonlySet<string>;
  read: (name: string) => Promise<Uint8Array>;
}

export const findConstructor = (module: string, name: string) => CONSTRUCTORS.get(`${module} ${name}`);

/** The storage that a persistent id names, or what stands in its place. */
export function storageOf(id: PickleValue): StorageRef | Opaque {
  const [kind, storage, key, , count, view = null] = Array.isArray(id) ? (id as PickleValue[]) : [];
  const type: unknown = typeof storage === 'function' && 'type' in storage ? storage.type : undefined;
  if (storage instanceof Opaque) {
    return storage;
  }
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isSize(count)) {
    return new Opaque('a persistent id that is not a storage');
  }
  if (view !== null) {
    return new Opaque('a storage that is a part of another one, as PyTorch wrote them before 0.4');
  }
  return new StorageRef(type, key, count);
}

/** A file of PyTorch's: what its pickle holds, and how tensors of it are read. */
export interface TorchFile {
  root: PickleValue;
  sourceOf: (tensors: StateDict) => TensorSource;
}

/** Which of a checkpoint's dicts of tensors to take. */
export interface StateDictChoice {
  /** The running average that icefall keeps under `model_avg`, instead of the model itself. */
  averaged?: boolean;
}

/** The tensors of a checkpoint by their names, and what stands in the place of tensors that cannot be read. */
export type StateDict = ReadonlyMap<string, TensorRef | Opaque>;

/** The tensors in a dict, by keys joined with dots where dicts stand in dicts. */
function tensorsIn(dict: PickleValue): Map<string, TensorRef | Opaque> {
  const tensors = new Map<string, TensorRef | Opaque>();
  const seen = new Set<PickleValue>();
  const walk = (value: PickleValue, path: string, depth: number) => {
    if (!(value instanceof Map) || seen.has(value) || depth > MAX_DEPTH) {
      return;
    }
    seen.add(value);
    for (const [key, item] of value) {
      if (typeof key !== 'string' || path.length + key.length > MAX_NAME || (depth === 0 && key === AVERAGED)) {
        continue;
      }
      if (item instanceof TensorRef || item instanceof Opaque) {
        tensors.set(path + key, item);
      } else {
        walk(item, `${path}${key}.`, depth + 1);
      }
      if (tensors.size > MAX_TENSORS) {
        throw badCheckpoint(`a checkpoint of more than ${MAX_TENSORS} tensors`, 'a state dict of one network');
      }
    }
  };
  walk(dict, '', 0);
  return tensors;
}

const holdsTensors = (found: StateDict) => [...found.values()].some((value) => value instanceof TensorRef);

/**
 * The dict of tensors in a checkpoint: the one with an encoder in it, or any, of those that stand under one of the
 * usual names; else all that the checkpoint holds.
 */
export function findStateDict(root: PickleValue, { averaged = false }: StateDictChoice): StateDict {
  const keys = averaged ? [AVERAGED] : ['model', 'model_state_dict', 'state_dict'];
  const named = root instanceof Map ? keys.map((key) => tensorsIn(root.get(key) ?? null)) : [];
  const candidates = averaged ? named : [...named, tensorsIn(root)];
  const found = candidates.find((each) => encodersIn(each.keys()).length > 0) ?? candidates.find(holdsTensors);
  if (found && holdsTensors(found)) {
    return found;
  }
  const [opaque] = [root, ...candidates.flatMap((each) => [...each.values()])].filter((each) => each instanceof Opaque);
  throw badCheckpoint(
    averaged
      ? 'a checkpoint without averaged weights under "model_avg"'
      : (opaque?.what ?? 'a checkpoint without a dict of tensors'),
    averaged ? 'a training checkpoint of icefall' : 'tensors in dicts',
    averaged ? 'Convert the model itself, without the option.' : STATE_DICT_ALONE,
  );
}

const infoOf = (value: TensorRef | Opaque): TensorInfo =>
  value instanceof TensorRef ? value : { dtype: 'unknown', shape: [], unreadable: value.what };

/**
 * Tensors that are read from their storages one at a time.
 *
 * @param fileBytes of the whole file: all tensors that are read may together have no more elements
 * @param readStorage gives a storage's bytes
 */
export function storedTensors(
  tensors: StateDict,
  fileBytes: number,
  bigEndian: boolean,
  readStorage: (storage: StorageRef) => Promise<Uint8Array>,
): TensorSource {
  // Views can share their elements, by strides of 0 as well: no more is read than the file could hold.
  const counted = new Set<string>();
  let elements = 0;
  const count = (name: string, { shape }: TensorRef) => {
    if (!counted.has(name)) {
      counted.add(name);
      elements += elementCount(shape);
    }
    if (!(elements <= fileBytes)) {
      throw badCheckpoint(
        `tensors of ${elements} elements in a file of ${fileBytes} bytes`,
        'no more elements than bytes',
      );
    }
  };
  // Tensors that share a storage usually follow each other, so the last one read is kept.
  let last: { key: string; bytes: Uint8Array } | undefined;
  return {
    tensors: new Map([...tensors].map(([name, value]) => [name, infoOf(value)] as const)),
    async read(name) {
      const tensor = tensors.get(name);
      if (!(tensor instanceof TensorRef)) {
        throw badCheckpoint(
          tensor ? `${name}, ${tensor.what}` : `no tensor ${name}`,
          'a tensor of that name',
          STATE_DICT_ALONE,
        );
      }
      if (!(tensor.dtype in DTYPE_BYTES)) {
        throw badCheckpoint(
          `${name} of type ${tensor.dtype}`,
          'floating-point weights',
          'Convert the model as it was before it was quantized.',
        );
      }
      count(name, tensor);
      const { storage } = tensor;
      if (last?.key !== storage.key) {
        last = { key: storage.key, bytes: await readStorage(storage) };
      }
      if (last.bytes.length < storage.byteLength) {
        throw badCheckpoint(`a storage of ${last.bytes.length} bytes for ${name}`, `${storage.byteLength} bytes`);
      }
      return gather(tensor, last.bytes, tensor.dtype as DType, bigEndian);
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
