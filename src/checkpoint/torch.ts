/** What all of PyTorch's file formats share: storages, tensors as views of them, and the allow-list of a pickle. */
import { badCheckpoint } from './bad-checkpoint.ts';
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
import type { Constructor, PickleValue } from './pickle.ts';

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
};

/**
 * The values that a pickle makes can take some hundred times its own size in memory; a training checkpoint's,
 * optimizer and all, is far below this.
 */
export const MAX_PICKLE_BYTES = 4 << 20;

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

const rebuildTensor: Constructor = ([storage, offset, shape, strides]) => {
  if (
    !(storage instanceof StorageRef) ||
    !isSize(offset) ||
    !isSizes(shape) ||
    !isSizes(strides) ||
    shape.length !== strides.length
  ) {
    throw badCheckpoint('a tensor whose storage, offset, shape or strides are not what PyTorch writes', 'a state dict');
  }
  const last = shape.reduce((index, size, axis) => index + (size - 1) * strides[axis], offset);
  const count = elementCount(shape);
  // A tensor may not be larger than what it is a view of, so that nothing is allocated that the file does not hold.
  if (count > 0 && (last >= storage.count || count > storage.count)) {
    throw badCheckpoint(
      `a tensor of shape ${shapeText(shape)} in a storage of ${storage.count} elements`,
      'a view inside its storage',
    );
  }
  return new TensorRef(storage, offset, shape, strides);
};

const inert: Constructor = (args) => args;
const emptyDict: Constructor = () => new Map();

/** Storage classes are never called; the object itself says which class a persistent id names. */
function storageConstructor(name: string): Constructor {
  const type = new StorageType(STORAGES[name]);
  return Object.assign(() => type, { type });
}

/**
 * The whole of what a checkpoint may name. Beside tensors these are plain containers and values that training
 * scripts keep next to the weights; none of them does anything.
 */
const CONSTRUCTORS: ReadonlyMap<string, Constructor> = new Map<string, Constructor>([
  ['torch._utils _rebuild_tensor_v2', rebuildTensor],
  ['torch._utils _rebuild_tensor', rebuildTensor],
  ['torch._utils _rebuild_parameter', ([tensor]) => tensor],
  ['torch._utils _rebuild_sparse_tensor', inert],
  ['torch.serialization _get_layout', inert],
  ['collections OrderedDict', emptyDict],
  ['collections defaultdict', emptyDict],
  ['collections Counter', emptyDict],
  ['icefall.utils AttributeDict', emptyDict],
  ['argparse Namespace', inert],
  ['torch Size', inert],
  ['torch device', inert],
  ['pathlib PosixPath', inert],
  ['pathlib WindowsPath', inert],
  ['_codecs encode', inert],
  ['numpy dtype', inert],
  ['numpy ndarray', inert],
  ...['numpy.core.multiarray', 'numpy._core.multiarray'].flatMap((module): [string, Constructor][] => [
    [`${module} scalar`, inert],
    [`${module} _reconstruct`, inert],
  ]),
  ...['float64', 'float32', 'float16', 'bfloat16', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'].map(
    (name): [string, Constructor] => [`torch ${name}`, inert],
  ),
  ...['int', 'float', 'str', 'bool', 'list', 'dict', 'set', 'complex', 'frozenset', 'bytearray'].flatMap(
    (name): [string, Constructor][] => [
      [`builtins ${name}`, inert],
      [`__builtin__ ${name}`, inert],
    ],
  ),
  ...Object.keys(STORAGES).map((name): [string, Constructor] => [`torch ${name}`, storageConstructor(name)]),
]);

export const findConstructor = (module: string, name: string) => CONSTRUCTORS.get(`${module} ${name}`);

/** The storage that a persistent id names. */
export function storageOf(id: PickleValue): StorageRef {
  const [kind, storage, key, , count, view = null] = Array.isArray(id) ? (id as PickleValue[]) : [];
  const type: unknown = typeof storage === 'function' && 'type' in storage ? storage.type : undefined;
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isSize(count)) {
    throw badCheckpoint('a persistent id that is not a storage', 'a checkpoint that torch.save wrote');
  }
  if (view !== null) {
    throw badCheckpoint(
      'a storage that is a part of another one',
      'storages of their own, as PyTorch writes them since 0.4',
      'Load the checkpoint in PyTorch and save it again.',
    );
  }
  return new StorageRef(type, key, count);
}

/** Which of a checkpoint's dicts of tensors to take. */
export interface StateDictChoice {
  /** The running average that icefall keeps under `model_avg`, instead of the model itself. */
  averaged?: boolean;
}

/** The dict of tensors in a checkpoint: its root, or what stands under one of the usual names. */
export function findStateDict(root: PickleValue, { averaged = false }: StateDictChoice): Map<string, TensorRef> {
  const keys = averaged ? ['model_avg'] : ['model', 'model_state_dict', 'state_dict'];
  const candidates = root instanceof Map ? keys.map((key) => root.get(key) ?? null) : [];
  for (const candidate of averaged ? candidates : [...candidates, root]) {
    if (candidate instanceof Map) {
      const tensors = new Map<string, TensorRef>();
      for (const [name, value] of candidate) {
        if (typeof name === 'string' && value instanceof TensorRef) {
          tensors.set(name, value);
        }
      }
      if (tensors.size > 0) {
        return tensors;
      }
    }
  }
  throw badCheckpoint(
    averaged
      ? 'a checkpoint without averaged weights under "model_avg"'
      : 'a checkpoint without a dict of tensors at its root or under "model", "model_state_dict" or "state_dict"',
    averaged ? 'a training checkpoint of icefall' : 'a state dict',
    averaged
      ? 'Convert the model itself, without the option.'
      : 'Save the state dict alone, torch.save(model.state_dict(), "model.pt"), and convert that.',
  );
}

/**
 * Tensors that are read from their storages one at a time.
 *
 * @param fileBytes of the whole file: all tensors together may have no more elements
 * @param readStorage gives a storage's bytes
 */
export function storedTensors(
  tensors: ReadonlyMap<string, TensorRef>,
  fileBytes: number,
  bigEndian: boolean,
  readStorage: (storage: StorageRef) => Promise<Uint8Array>,
): TensorSource {
  const elements = [...tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (elements > fileBytes) {
    throw badCheckpoint(
      `tensors of ${elements} elements in a file of ${fileBytes} bytes`,
      'no more elements than bytes',
    );
  }
  // Tensors that share a storage usually follow each other, so the last one read is kept.
  let last: { key: string; bytes: Uint8Array } | undefined;
  return {
    tensors,
    async read(name) {
      const tensor = tensors.get(name);
      if (!tensor) {
        throw badCheckpoint(`no tensor ${name}`, 'one of that name');
      }
      if (!(tensor.dtype in DTYPE_BYTES)) {
        throw badCheckpoint(
          `${name} of type ${tensor.dtype}`,
          'floating-point weights',
          'Convert the model as it was before it was quantized.',
        );
      }
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
