/** Constants of an ONNX graph as weights, however the graph makes them from what is stored. */
import { shown } from '../errors.ts';
import { DTYPE_BYTES, decodeFloats, elementCount, shapeText, type DType, type TensorInfo } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import { DATA_TYPE, type OnnxGraph, type OnnxTensor } from './onnx-graph.ts';

const FLOAT_TYPES: Readonly<Record<number, DType>> = {
  [DATA_TYPE.float]: 'F32',
  [DATA_TYPE.float16]: 'F16',
  [DATA_TYPE.double]: 'F64',
  [DATA_TYPE.bfloat16]: 'BF16',
};
const INTEGER_TYPES: Readonly<Record<number, string>> = { [DATA_TYPE.uint8]: 'U8', [DATA_TYPE.int8]: 'I8' };

/** A constant; integers are read as what they are, and mean nothing until they are dequantized. */
export interface Weight extends TensorInfo {
  /** Equal for equal contents of one shape. */
  key: () => string;
  read: () => Float32Array<ArrayBuffer>;
}

export const isFloat = ({ dtype }: TensorInfo) => dtype === 'F32';

/** A constant of floats, of so many axes. */
export const isFloats = (weight: Weight | undefined, rank: number): weight is Weight =>
  weight?.shape.length === rank && isFloat(weight);

/** A constant as it is stored; undefined for types that no weight has. */
function stored(tensor: OnnxTensor): Weight | undefined {
  const { dataType, shape } = tensor;
  const dtype = dataType in FLOAT_TYPES ? 'F32' : INTEGER_TYPES[dataType];
  return dtype === undefined || shape.some((size) => size < 0)
    ? undefined
    : { dtype, shape, key: () => `${shape.join()} ${fingerprint(tensor)}`, read: () => storedValues(tensor) };
}

function storedValues({ name, shape, dataType, raw, numbers }: OnnxTensor): Float32Array<ArrayBuffer> {
  const float = dataType in FLOAT_TYPES ? FLOAT_TYPES[dataType] : undefined;
  const width = float ? DTYPE_BYTES[float] : 1;
  const count = numbers.length || raw.length / width;
  if (count !== elementCount(shape)) {
    throw badCheckpoint(
      `${shown(name)} of type ${dataType}, shape ${shapeText(shape)} and ${count} elements`,
      'as many elements as the shape has',
    );
  }
  if (numbers.length) {
    // Half-precision numbers are written as their bit patterns.
    return float && width === 2
      ? decodeFloats(new Uint8Array(Uint16Array.from(numbers).buffer), float)
      : Float32Array.from(numbers);
  }
  if (float) {
    return decodeFloats(raw, float);
  }
  return Float32Array.from(dataType === DATA_TYPE.int8 ? new Int8Array(raw.buffer, raw.byteOffset, raw.length) : raw);
}

const fingerprints = new WeakMap<Uint8Array, string>();

/** Tells weights of one shape apart, without keeping them. */
function fingerprint(tensor: OnnxTensor): string {
  const known = fingerprints.get(tensor.raw) ?? hashElements(tensor);
  fingerprints.set(tensor.raw, known);
  return known;
}

/** Two hashes of all of it: rounded weights differ in few of their bits. */
function hashElements({ raw, numbers }: OnnxTensor): string {
  const bytes = raw.length ? raw : new Uint8Array(Float64Array.from(numbers).buffer);
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  let [one, other] = [0, 0];
  for (const word of words) {
    one = Math.imul(one ^ word, 0x9e3779b1);
    one ^= one >>> 15;
    other = Math.imul(other ^ word, 0x85ebca6b);
    other ^= other >>> 13;
  }
  return `${bytes.length} ${one} ${other}`;
}

/** What is read of a weight in another shape: `values` from what the weight holds. */
function derived(
  weight: Weight,
  kind: string,
  shape: readonly number[],
  values: (of: Float32Array<ArrayBuffer>) => Float32Array<ArrayBuffer>,
): Weight {
  return { dtype: weight.dtype, shape, key: () => `${kind} ${weight.key()}`, read: () => values(weight.read()) };
}

/** A matrix the other way round: ONNX multiplies from the right, PyTorch keeps (outputs, inputs). */
export function transposed(weight: Weight): Weight {
  const [rows, columns] = weight.shape;
  return derived(weight, 'transposed', [columns, rows], (values) =>
    values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]),
  );
}

/** The same elements in another shape. */
export const reshaped = (weight: Weight, shape: readonly number[]): Weight =>
  derived(weight, 'reshaped', shape, (values) => values);

/** `count` elements of a vector, from `start` on. */
export const sliced = (weight: Weight, start: number, count: number): Weight =>
  derived(weight, `${count} from ${start} of`, [count], (values) => values.slice(start, start + count));

/** The gates of an LSTM, a quarter of the rows each, in PyTorch's order (i, f, g, o): ONNX has (i, o, f, c). */
export function reorderedGates(weight: Weight): Weight {
  return derived(weight, 'gates of', weight.shape, (values) => {
    const quarter = values.length / 4;
    const ordered = new Float32Array(values.length);
    [0, 2, 3, 1].forEach((from, to) => {
      ordered.set(values.subarray(from * quarter, (from + 1) * quarter), to * quarter);
    });
    return ordered;
  });
}

/**
 * What quantized integers stand for: `(integer - zeroPoint) * scale`.
 *
 * @param scale one number, or one for each place of `axis`, as the zero points
 */
export function dequantized(weight: Weight, axis: number, scale: Weight, zeroPoint: Weight | undefined): Weight {
  const { shape } = weight;
  const stride = elementCount(shape.slice(axis + 1));
  return {
    dtype: 'F32',
    shape,
    key: () => `${weight.key()} by ${scale.key()} from ${zeroPoint?.key()}`,
    read() {
      const [scales, zeroPoints] = [scale.read(), zeroPoint?.read() ?? new Float32Array(1)];
      for (const each of [scales, zeroPoints]) {
        if (each.length !== 1 && each.length !== shape[axis]) {
          throw badCheckpoint(
            `${each.length} scales or zero points for a weight of shape ${shapeText(shape)}`,
            `one, or ${shape[axis]}`,
          );
        }
      }
      const at = (each: Float32Array, i: number) => each[each.length === 1 ? 0 : Math.floor(i / stride) % shape[axis]];
      return weight.read().map((value, i) => (value - at(zeroPoints, i)) * at(scales, i));
    },
  };
}

/** Operators whose output is their first input, as far as a weight is concerned. */
const UNCHANGED: ReadonlySet<string> = new Set(['Identity', 'Cast', 'DynamicQuantizeLinear']);

/**
 * Every constant of a graph by its name: those that are stored, and those that nodes make of them. Exporters share
 * equal weights through Identity nodes, leave the transposition of a weight to the graph, and quantizers the scaling.
 */
export function findWeights({ nodes, constants }: OnnxGraph): ReadonlyMap<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const [name, tensor] of constants) {
    const weight = stored(tensor);
    if (weight) {
      weights.set(name, weight);
    }
  }
  for (const { op, inputs, outputs, ints } of nodes) {
    const [weight, scale, zeroPoint] = inputs.map((input) => weights.get(input));
    if (!weight) {
      continue;
    }
    if (UNCHANGED.has(op)) {
      weights.set(outputs[0], weight);
    } else if (op === 'Transpose' && weight.shape.length === 2) {
      weights.set(outputs[0], transposed(weight));
    } else if (op === 'Reshape' && weight.shape.length === 1) {
      // A bias that is spread over the other axes.
      weights.set(outputs[0], weight);
    } else if (op === 'DequantizeLinear' && scale && !isFloat(weight)) {
      const axis = ints.get('axis') ?? 1;
      weights.set(outputs[0], dequantized(weight, axis < 0 ? axis + weight.shape.length : axis, scale, zeroPoint));
    }
  }
  return weights;
}
