import { RillError, shown } from '../errors.ts';
import {
  STORED_DTYPE,
  dequantizeRows,
  isMatrix,
  quantizeRows,
  rowScaleName,
  toHalf,
  type WeightDtype,
} from './dtypes.ts';
import { FOREIGN_BYTES, foreignFile } from './foreign.ts';
import {
  DTYPE_BYTES,
  MAX_RANK,
  decodeFloats,
  elementCount,
  shapeText,
  type DType,
  type Int8Matrix,
  type TensorInfo,
  type TensorSource,
} from './tensors.ts';

/** Bytes per element of the usual types; only floating-point ones can be read, and of others any size is taken. */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  ...DTYPE_BYTES,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/**
 * The header may not be larger than this: a thousand tensors need 100 KB. The reference implementation takes 100 MB,
 * of which JSON can make gigabytes of objects.
 */
const MAX_HEADER_BYTES = 4 << 20;

/** Characters of a type's name: F8_E4M3FNUZ is the longest. */
const MAX_DTYPE = 16;

function bad(got: string, expected: string): RillError {
  return new RillError('bad-model', {
    got,
    expected,
    remedy: 'Download or convert the model again; this safetensors file is damaged or foreign.',
  });
}

const isSize = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;

const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_RANK && value.every(isSize);

function readEntry(name: string, value: unknown, dataBytes: number): SafetensorsEntry {
  const { dtype, shape, data_offsets: offsets } = Object(value) as Record<string, unknown>;
  if (typeof dtype !== 'string' || dtype.length > MAX_DTYPE) {
    throw bad(`${shown(name)} of type ${shown(dtype)}`, 'the name of a type, like F32');
  }
  if (!isSizes(shape) || !isSizes(offsets)) {
    throw bad(`${shown(name)} with shape ${shown(shape)} and offsets ${shown(offsets)}`, 'lists of whole numbers');
  }
  const [begin, end] = offsets;
  const bytes = Object.hasOwn(ELEMENT_BYTES, dtype) ? elementCount(shape) * ELEMENT_BYTES[dtype] : end - begin;
  if (offsets.length !== 2 || end < begin || end - begin !== bytes || end > dataBytes) {
    throw bad(
      `${shown(name)} of shape ${shapeText(shape)} ${shown(dtype)} at bytes ${begin} to ${end} of ${dataBytes}`,
      `${bytes} bytes inside the file`,
    );
  }
  return { dtype, shape, begin, end };
}

/** Where a tensor lies, counted from the end of the header. */
export interface SafetensorsEntry extends TensorInfo {
  begin: number;
  end: number;
}

/**
 * Bytes of the header that follows the first 8 bytes of a file.
 *
 * @throws RillError `bad-model`.
 */
export function safetensorsHeaderLength(start: Uint8Array, fileBytes: number): number {
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const length = start.length < 8 ? NaN : Number(view.getBigUint64(0, true));
  if (!(length <= Math.min(MAX_HEADER_BYTES, fileBytes - 8))) {
    throw bad(
      `${fileBytes} bytes with a header of ${length}`,
      `an 8-byte header length, that header (at most ${MAX_HEADER_BYTES} bytes), then the data`,
    );
  }
  return length;
}

/**
 * Reads a header and checks that its tensors lie one after the other and fill the file, as in the reference
 * implementation: none overlap, nothing is left over.
 *
 * @throws RillError `bad-model`.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, dataBytes: number): Map<string, SafetensorsEntry> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad(`a header that is not JSON (${String(cause)})`, 'a JSON object');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) {
    throw bad(`a header that holds ${shown(header)}`, 'a JSON object');
  }
  const tensors = new Map<string, SafetensorsEntry>();
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') {
      tensors.set(name, readEntry(name, value, dataBytes));
    }
  }
  let end = 0;
  for (const [name, entry] of [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    if (entry.begin !== end) {
      throw bad(`${shown(name)} at byte ${entry.begin}`, `byte ${end}, where the tensor before it ends`);
    }
    end = entry.end;
  }
  if (end !== dataBytes) {
    throw bad(`tensors that end at byte ${end}`, `byte ${dataBytes}, where the file ends`);
  }
  return tensors;
}

/**
 * The tensors of a file whose header has been read. An int8 matrix is read together with its scales, which do not
 * appear in the list.
 *
 * @param readData the bytes from `begin` to `end`, counted from the end of the header
 * @throws RillError `bad-model` when a tensor is read that is not there or holds no weights.
 */
export function safetensorsSource(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  readData: (begin: number, end: number) => Uint8Array | Promise<Uint8Array>,
): TensorSource {
  const find = (name: string) => {
    const entry = entries.get(name);
    if (!entry) {
      throw bad(`no tensor ${shown(name)}`, 'one of that name');
    }
    return entry;
  };
  const readFloats = async (name: string) => {
    const { dtype, begin, end } = find(name);
    if (!Object.hasOwn(DTYPE_BYTES, dtype)) {
      throw bad(`${shown(name)} of type ${shown(dtype)}`, `one of ${Object.keys(DTYPE_BYTES).join(', ')}`);
    }
    return decodeFloats(await readData(begin, end), dtype as DType);
  };
  const isInt8Matrix = (entry: SafetensorsEntry) => entry.dtype === STORED_DTYPE.int8 && isMatrix(entry);
  const readInt8 = async (name: string): Promise<Int8Matrix | undefined> => {
    const entry = find(name);
    if (!isInt8Matrix(entry)) {
      return undefined;
    }
    const scales = await readFloats(rowScaleName(name));
    if (scales.length !== entry.shape[0]) {
      throw bad(`${shown(rowScaleName(name))} of ${scales.length} elements`, `${entry.shape[0]}, one for each row`);
    }
    return { values: new Int8Array(Uint8Array.from(await readData(entry.begin, entry.end)).buffer), scales };
  };
  const tensors = new Map<string, TensorInfo>(entries);
  for (const [name, entry] of entries) {
    if (isInt8Matrix(entry)) {
      tensors.delete(rowScaleName(name));
    }
  }
  return {
    tensors,
    async read(name) {
      const int8 = await readInt8(name);
      return int8 ? dequantizeRows(int8.values, int8.scales) : readFloats(name);
    },
    readInt8,
    async readF16(name) {
      const { dtype, begin, end } = find(name);
      return dtype === STORED_DTYPE.f16
        ? new Uint16Array(Uint8Array.from(await readData(begin, end)).buffer)
        : undefined;
    },
  };
}

/**
 * Opens a safetensors file held in memory. Tensors are decoded when they are read.
 *
 * @throws RillError `bad-model`.
 */
export function readSafetensors(file: Uint8Array): TensorSource {
  const foreign = foreignFile(file.subarray(0, FOREIGN_BYTES), 'model.safetensors');
  if (foreign) {
    throw new RillError('bad-model', foreign);
  }
  const length = safetensorsHeaderLength(file.subarray(0, 8), file.length);
  const data = file.subarray(8 + length);
  const entries = parseSafetensorsHeader(file.subarray(8, 8 + length), data.length);
  return safetensorsSource(entries, (begin, end) => data.subarray(begin, end));
}

/** What {@link writeSafetensors} writes: shapes first, so that the file is laid out before any data is read. */
export interface TensorToWrite {
  name: string;
  shape: readonly number[];
  read: () => Promise<Float32Array>;
}

/** A stretch of a file to be written. */
interface Part {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: number;
}

const part = (name: string, dtype: string, shape: readonly number[]): Part => ({
  name,
  dtype,
  shape,
  bytes: elementCount(shape) * ELEMENT_BYTES[dtype],
});

/** What a tensor takes up: an int8 matrix its values and its scales, all else one stretch. */
function partsOf({ name, shape }: TensorToWrite, dtype: WeightDtype): Part[] {
  if (!isMatrix({ shape }) || dtype === 'f32') {
    return [part(name, STORED_DTYPE.f32, shape)];
  }
  const matrix = part(name, STORED_DTYPE[dtype], shape);
  return dtype === 'int8' ? [matrix, part(rowScaleName(name), STORED_DTYPE.f32, [shape[0]])] : [matrix];
}

/** The data of {@link partsOf}, in the same order. */
function dataOf({ name, shape }: TensorToWrite, dtype: WeightDtype, values: Float32Array): ArrayBufferView[] {
  if (!isMatrix({ shape }) || dtype === 'f32') {
    return [values];
  }
  if (dtype === 'f16') {
    return [toHalf(name, values)];
  }
  const quantized = quantizeRows(values, shape[0]);
  return [quantized.values, quantized.scales];
}

/**
 * Writes a safetensors file. One tensor is held beside the file at a time.
 *
 * @param dtype of the matrices; everything else is f32
 * @param onWritten called after each tensor with the bytes written and the total
 * @throws RillError `bad-model` for a value beyond the range of f16.
 */
export async function writeSafetensors(
  tensors: readonly TensorToWrite[],
  dtype: WeightDtype = 'f32',
  onWritten?: (loaded: number, total: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  // Wide elements first, as the reference implementation has them: every tensor is aligned to its own.
  const parts = tensors
    .flatMap((tensor) => partsOf(tensor, dtype))
    .sort((a, b) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype]);
  const entries: Record<string, { dtype: string; shape: readonly number[]; data_offsets: [number, number] }> = {};
  let total = 0;
  for (const { name, dtype: stored, shape, bytes } of parts) {
    entries[name] = { dtype: stored, shape, data_offsets: [total, total + bytes] };
    total += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify({ __metadata__: { format: 'pt' }, ...entries }));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(start + total).fill(0x20, 8, start);
  file.set(json, 8);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  let written = 0;
  for (const tensor of tensors) {
    const data = dataOf(tensor, dtype, await tensor.read());
    partsOf(tensor, dtype).forEach(({ name, bytes }, i) => {
      const { buffer, byteOffset, byteLength } = data[i];
      file.set(new Uint8Array(buffer, byteOffset, byteLength), start + entries[name].data_offsets[0]);
      written += bytes;
    });
    onWritten?.(written, total);
  }
  return file;
}
