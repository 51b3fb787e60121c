import { RillError } from '../src/errors.ts';
import { elementCount, shapeText } from '../src/model/tensors.ts';

/** An array of a `.npy` file, C order. */
export interface NpyArray {
  shape: number[];
  data: Float32Array<ArrayBuffer>;
}

const MAGIC = '\x93NUMPY';

function bad(got: string, expected: string): RillError {
  return new RillError('bad-argument', {
    got,
    expected,
    remedy: 'Save it with numpy.save(path, array.astype(numpy.float32)).',
  });
}

interface Decoder {
  bytes: number;
  read: (view: DataView, offset: number) => number;
}

const DECODERS: Readonly<Record<string, Decoder>> = {
  '<f4': { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  '<f8': { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
  '<i4': { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  '<i8': { bytes: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
};

/**
 * Reads a NumPy array file (format 1 to 3; little-endian float or int, C order) as float32.
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
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const length = long ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = latin.decode(bytes.subarray(start, start + length));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '?';
  const order = /'fortran_order':\s*(\w+)/.exec(header)?.[1];
  const shape = (/'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '?')
    .split(',')
    .filter((size) => size.trim() !== '')
    .map(Number);
  const decoder = DECODERS[descr];
  if (!decoder || order !== 'False' || !shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw bad(
      `${name} of type ${descr}, fortran_order ${order}`,
      `one of ${Object.keys(DECODERS).join(', ')} in C order`,
    );
  }
  const count = elementCount(shape);
  const available = Math.floor((bytes.length - start - length) / decoder.bytes);
  if (count !== available) {
    throw bad(`${name} of shape ${shapeText(shape)} with ${available} elements`, `${count} elements`);
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
