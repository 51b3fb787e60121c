import { RillError, shown } from '../errors.ts';
import {
  DTYPE_BYTES,
  MAX_RANK,
  decodeFloats,
  elementCount,
  shapeText,
  type DType,
  type TensorInfo,
  type TensorSource,
} from './tensors.ts';

/** Bytes per element of every type; only floating-point ones can be read. */
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
  if (typeof dtype !== 'string' || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    throw bad(`${shown(name)} of type ${shown(dtype)}`, `one of ${Object.keys(ELEMENT_BYTES).join(', ')}`);
  }
  if (!isSizes(shape) || !isSizes(offsets)) {
    throw bad(`${shown(name)} with shape ${shown(shape)} and offsets ${shown(offsets)}`, 'lists of whole numbers');
  }
  const [begin, end] = offsets;
  const bytes = elementCount(shape) * ELEMENT_BYTES[dtype];
  if (offsets.length !== 2 || end - begin !== bytes || end > dataBytes) {
    throw bad(
      `${shown(name)} of shape ${shapeText(shape)} ${dtype} at bytes ${begin} to ${end} of ${dataBytes}`,
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

/** The elements of a tensor. @throws RillError `bad-model` for one that holds no floating-point numbers. */
export function decodeEntry(name: string, { dtype }: SafetensorsEntry, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  if (!Object.hasOwn(DTYPE_BYTES, dtype)) {
    throw bad(`${shown(name)} of type ${dtype}`, `one of ${Object.keys(DTYPE_BYTES).join(', ')}`);
  }
  return decodeFloats(bytes, dtype as DType);
}

/**
 * Opens a safetensors file held in memory. Tensors are decoded when they are read.
 *
 * @throws RillError `bad-model`.
 */
export function readSafetensors(file: Uint8Array): TensorSource {
  const length = safetensorsHeaderLength(file.subarray(0, 8), file.length);
  const data = file.subarray(8 + length);
  const tensors = parseSafetensorsHeader(file.subarray(8, 8 + length), data.length);
  return {
    tensors,
    async read(name) {
      const entry = tensors.get(name);
      if (!entry) {
        throw bad(`no tensor ${name}`, 'one of that name');
      }
      return decodeEntry(name, entry, data.subarray(entry.begin, entry.end));
    },
  };
}

/** What {@link writeSafetensors} writes: shapes first, so that the file is laid out before any data is read. */
export interface TensorToWrite {
  name: string;
  shape: readonly number[];
  read: () => Promise<Float32Array>;
}

/**
 * Writes a safetensors file of float32 tensors. One tensor is held beside the file at a time.
 *
 * @param progress called after each tensor with the bytes written and the total
 */
export async function writeSafetensors(
  tensors: readonly TensorToWrite[],
  progress?: (loaded: number, total: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let total = 0;
  for (const { name, shape } of tensors) {
    const begin = total;
    total += elementCount(shape) * DTYPE_BYTES.F32;
    header[name] = { dtype: 'F32', shape, data_offsets: [begin, total] };
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(start + total).fill(0x20, 8, start);
  file.set(json, 8);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  let offset = start;
  for (const { read } of tensors) {
    const values = await read();
    file.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
    offset += values.byteLength;
    progress?.(offset - start, total);
  }
  return file;
}
