import { RillError, shown } from '../src/errors.ts';
import { MAX_RANK, elementCount, shapeText } from '../src/model/tensors.ts';

/** An array of a `.npy` file, C order. */
export interface NpyArray {
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}

/** NumPy's own limit on a header that is not trusted. */
const MAX_HEADER_BYTES = 10_000;

const MAGIC = '\x93NUMPY';

function bad(got: string, expected: string): RillError {
  return new RillError('bad-argument', {
    got,
    expected,
    remedy: 'Save it with numpy.save(path, numpy.ascontiguousarray(array, dtype=numpy.float32)).',
  });
}

interface Decoder {
  bytes: number;
  read: (view: DataView, offset: number) => number;
}

const DECODERS: Readonly<Record<string, Decoder>> = {
  '|u1': { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  '<f4': { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  '<f8': { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
  '<i4': { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  '<i8': { bytes: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
};

/**
 * Reads a NumPy array file (format 1 to 3; bytes, little-endian float or int, C order) as float32.
 *
 * @throws RillError `bad-argument`.
 */
export function readNpy(bytes: Uint8Array, name: string): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin = new TextDecoder('latin1');
  if (
    bytes.length < 12 ||
    latin.decode(bytes.subarray(0, 6)) !== latin.decode(Uint8Array.from(MAGIC, (c) => c.charCodeAt(0)))
  ) {
    throw bad(`${name}, which is not a .npy file`, 'a NumPy array file');
  }
  const version = bytes[6];
  if (version < 1 || version > 3) {
    throw bad(`${name} of format ${version}`, 'format 1 to 3');
  }
  const long = version > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const rest = bytes.length - start - length;
  if (length > MAX_HEADER_BYTES || rest < 0) {
    throw bad(`${name} of ${bytes.length} bytes with a header of ${length}`, `a header of at most ${MAX_HEADER_BYTES}`);
  }
  const header = latin.decode(bytes.subarray(start, start + length));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(\w+)/.exec(header)?.[1];
  const decoder = descr !== undefined && Object.hasOwn(DECODERS, descr) ? DECODERS[descr] : undefined;
  if (!decoder || order !== 'False') {
    throw bad(
      `${name} of type ${shown(descr)}, fortran_order ${shown(order)}`,
      `one of ${Object.keys(DECODERS).join(', ')} in C order`,
    );
  }
  const sizes = /'shape':\s*\(([\d, ]*)\)/.exec(header)?.[1];
  const shape = sizes?.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]));
  // Beside an axis of zero any other goes with no bytes at all; still no axis is longer than the file.
  if (!shape || shape.length > MAX_RANK || !shape.every((size) => size <= bytes.length)) {
    throw bad(`${name} with shape ${shown(shape)}`, `at most ${MAX_RANK} axes that the file has room for`);
  }
  const count = elementCount(shape);
  if (count * decoder.bytes !== rest) {
    throw bad(`${name} of shape ${shapeText(shape)} with ${rest} bytes of data`, `${count * decoder.bytes} bytes`);
  }
  const data = Float32Array.from({ length: count }, (_, i) => decoder.read(view, start + length + i * decoder.bytes));
  return { shape, data };
}

/** The bytes of a `.npy` file of little-endian float32 or int64 in C order. */
export function writeNpy(shape: readonly number[], data: Float32Array | BigInt64Array): Uint8Array {
  const descr = data instanceof Float32Array ? '<f4' : '<i8';
  const sizes = shape.length === 1 ? `(${shape[0]},)` : shapeText(shape);
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${sizes}, }`;
  const padding = (64 - ((10 + text.length + 1) % 64)) % 64;
  const header = `${MAGIC}\x01\x00\x00\x00${text}${' '.repeat(padding)}\n`;
  const file = new Uint8Array(header.length + data.byteLength);
  file.set(Uint8Array.from(header, (character) => character.charCodeAt(0)));
  new DataView(file.buffer).setUint16(8, header.length - 10, true);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return file;
}
