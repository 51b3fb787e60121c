import { RillError } from '../errors.ts';
import {
  elementCount,
  requireFinite,
  type Int8Matrix,
  type TensorInfo,
  type TensorSource,
  readFinite,
} from './tensors.ts';

/** What weights are kept as: in a model folder, and in memory. */
export type WeightDtype = 'f32' | 'f16' | 'int8';
export const WEIGHT_DTYPES: readonly WeightDtype[] = ['f32', 'f16', 'int8'];

export const WEIGHT_BITS: Readonly<Record<WeightDtype, number>> = { f32: 32, f16: 16, int8: 8 };

/** The safetensors name of each. */
export const STORED_DTYPE: Readonly<Record<WeightDtype, string>> = { f32: 'F32', f16: 'F16', int8: 'I8' };

/** Where the scales of an int8 matrix lie, (rows): the weight is `scale * value / 127`. */
export const rowScaleName = (name: string) => `${name}.row_scale`;

/** Matrices are what is worth packing; vectors, convolutions and eps stay f32. */
export const isMatrix = ({ shape }: Pick<TensorInfo, 'shape'>) => shape.length === 2 && elementCount(shape) > 0;

/** What a model folder keeps its matrices as; types that are no {@link WeightDtype} count as f32. */
export function storedDtype(tensors: ReadonlyMap<string, TensorInfo>): WeightDtype {
  const dtype = tensors.get('encoder.encoder.layers.0.lstm.weight_ih_l0')?.dtype;
  return WEIGHT_DTYPES.find((each) => STORED_DTYPE[each] === dtype) ?? 'f32';
}

const FLOAT = new Float32Array(1);
const WORD = new Uint32Array(FLOAT.buffer);
const HALF_INFINITY = 0x7c00;

/** The bits of the nearest IEEE 754 binary16 number, ties to even; beyond its range, infinity. */
function halfBits(value: number): number {
  FLOAT[0] = value;
  const sign = (WORD[0] >>> 16) & 0x8000;
  const exponent = ((WORD[0] >>> 23) & 0xff) - 112;
  const fraction = WORD[0] & 0x7fffff;
  if (exponent >= 31) {
    return sign | HALF_INFINITY;
  }
  if (exponent < -10) {
    return sign;
  }
  // Below the smallest normal number the leading one is written out and shifted with the rest.
  const [digits, shift] = exponent > 0 ? [(exponent << 23) | fraction, 13] : [fraction | 0x800000, 14 - exponent];
  const kept = digits >>> shift;
  const rest = digits & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  const up = rest > tie || (rest === tie && (kept & 1) === 1);
  // A carry out of the fraction rightly goes into the exponent.
  return sign | (kept + Number(up));
}

/**
 * The nearest half-precision numbers, as their bits.
 *
 * @throws RillError `bad-model` for a value that no half is near: 65520 and more.
 */
export function toHalf(name: string, values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    bits[i] = halfBits(values[i]);
    if ((bits[i] & 0x7fff) === HALF_INFINITY) {
      throw new RillError('bad-model', {
        got: `${values[i]} at element ${i} of ${name}`,
        expected: 'at most 65504, the largest number of f16',
        remedy: 'Keep this model in f32 or int8.',
      });
    }
  }
  return bits;
}

/** @throws RillError `bad-model` naming the first half that is no finite number. */
export function requireFiniteHalves(name: string, bits: Uint16Array): void {
  const index = bits.findIndex((half) => (half & HALF_INFINITY) === HALF_INFINITY);
  if (index >= 0) {
    // The words are those of any other tensor.
    const value = (bits[index] & 0x3ff) !== 0 ? NaN : bits[index] & 0x8000 ? -Infinity : Infinity;
    requireFinite('bad-model', name, Float32Array.of(value), () => `element ${index}`);
  }
}

const INT8_MAX = 127;

/**
 * A matrix in whole numbers from -127 to 127, each row by its own scale: its largest magnitude. Quantising what was
 * quantised before changes nothing.
 *
 * @param values (rows, columns)
 */
export function quantizeRows(values: Float32Array, rows: number): Int8Matrix {
  const columns = values.length / rows;
  const quantized = new Int8Array(values.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const [start, end] = [row * columns, (row + 1) * columns];
    let largest = 0;
    for (let i = start; i < end; i++) {
      largest = Math.max(largest, Math.abs(values[i]));
    }
    scales[row] = largest;
    for (let i = start; largest > 0 && i < end; i++) {
      quantized[i] = Math.round((values[i] / largest) * INT8_MAX);
    }
  }
  return { values: quantized, scales };
}

/**
 * A matrix in int8: as it is stored, where it is stored so, or quantised.
 *
 * @throws RillError `bad-model` for values that are not finite.
 */
export async function readQuantized(source: TensorSource, name: string, rows: number): Promise<Int8Matrix> {
  const stored = await source.readInt8?.(name);
  if (stored) {
    requireFinite('bad-model', rowScaleName(name), stored.scales);
    return stored;
  }
  return quantizeRows(await readFinite(source, name), rows);
}

/** The matrix that {@link quantizeRows} stands for. */
export function dequantizeRows(values: Int8Array, scales: Float32Array): Float32Array<ArrayBuffer> {
  const columns = values.length / scales.length;
  const floats = new Float32Array(values.length);
  for (let i = 0; i < floats.length; i++) {
    floats[i] = (scales[Math.floor(i / columns)] * values[i]) / INT8_MAX;
  }
  return floats;
}
