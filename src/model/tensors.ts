import { RillError, type RillErrorCode } from '../errors.ts';

/** Element types that weights come in, by their safetensors names. */
export type DType = 'F64' | 'F32' | 'F16' | 'BF16';

export const DTYPE_BYTES: Readonly<Record<DType, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2 };

/** Axes that a tensor may have; weights have at most four. */
export const MAX_RANK = 8;

export interface TensorInfo {
  dtype: string;
  shape: readonly number[];
  /** What stands in its place, where a file has something that cannot be read as a tensor: its shape is not known. */
  unreadable?: string;
}

/** A matrix in int8: the weight is `scales[row] * value / 127`. */
export interface Int8Matrix {
  /** (rows, columns) */
  values: Int8Array<ArrayBuffer>;
  /** (rows) */
  scales: Float32Array<ArrayBuffer>;
}

/** Named tensors that are read one at a time, as float32 whatever they are stored as. */
export interface TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** @returns the elements in C order */
  read: (name: string) => Promise<Float32Array<ArrayBuffer>>;
  /** A matrix that is stored in int8, as it is stored. */
  readInt8?: (name: string) => Promise<Int8Matrix | undefined>;
  /** A tensor that is stored in IEEE 754 binary16, as its bits. */
  readF16?: (name: string) => Promise<Uint16Array<ArrayBuffer> | undefined>;
}

export const elementCount = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

export const shapeText = (shape: readonly number[]) => `(${shape.join(', ')})`;

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) {
    return fraction ? NaN : sign * Infinity;
  }
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
}

/** Little-endian elements of any {@link DType} as float32. The result never shares memory with `bytes`. */
export function decodeFloats(bytes: Uint8Array, dtype: DType): Float32Array<ArrayBuffer> {
  const width = DTYPE_BYTES[dtype];
  const count = Math.floor(bytes.byteLength / width);
  const view = new DataView(bytes.buffer, bytes.byteOffset, count * width);
  const floats = new Float32Array(count);
  const words = new Uint32Array(floats.buffer);
  for (let i = 0; i < count; i++) {
    switch (dtype) {
      case 'F32':
        words[i] = view.getUint32(4 * i, true);
        break;
      case 'F64':
        floats[i] = view.getFloat64(8 * i, true);
        break;
      case 'F16':
        floats[i] = halfToFloat(view.getUint16(2 * i, true));
        break;
      case 'BF16':
        words[i] = view.getUint16(2 * i, true) << 16;
        break;
    }
  }
  return floats;
}

/** What to do about numbers that are not finite, by the error that they raise. */
const FINITE_REMEDIES: Readonly<Partial<Record<RillErrorCode, string>>> = {
  'bad-audio': 'Check how the audio was decoded.',
  'bad-argument': 'Check how they were made: a logarithm of zero, or audio that was not finite, gives such numbers.',
};

/**
 * @param place where in `name` a value stands, by its index
 * @throws RillError naming the first element that is not a finite number.
 */
export function requireFinite(
  code: RillErrorCode,
  name: string,
  values: Float32Array,
  place = (index: number) => `element ${index}`,
): void {
  // A plain loop: it runs over all features of every step, 5 ns for each.
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new RillError(code, {
        got: `${values[i]} at ${place(i)} of ${name}`,
        expected: 'finite numbers',
        remedy: FINITE_REMEDIES[code] ?? 'The training run diverged or the file is damaged; take another checkpoint.',
      });
    }
  }
}

/** @throws RillError `bad-model` for a weight that is not a number. */
export async function readFinite(weights: TensorSource, name: string): Promise<Float32Array<ArrayBuffer>> {
  const values = await weights.read(name);
  requireFinite('bad-model', name, values);
  return values;
}

/** Tensors with some in the place of others. */
export function withTensors(
  { tensors, read }: TensorSource,
  changed: ReadonlyMap<string, { shape: readonly number[]; values: Float32Array<ArrayBuffer> }>,
): TensorSource {
  const infos = new Map(tensors);
  changed.forEach(({ shape }, name) => infos.set(name, { dtype: 'F32', shape }));
  return { tensors: infos, read: async (name) => changed.get(name)?.values ?? read(name) };
}
