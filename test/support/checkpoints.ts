import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from '@zip.js/zip.js';
import { bytesSource, type ByteSource } from '../../src/checkpoint/bytes.ts';

const text = (value: string) => Array.from(new TextEncoder().encode(value));
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

/** Pickle opcodes by hand, for checkpoints that PyTorch would not write. */
export const op = {
  proto: [0x80, 2],
  mark: [0x28],
  stop: [0x2e],
  emptyDict: [0x7d],
  emptyTuple: [0x29],
  setItem: [0x73],
  setItems: [0x75],
  tuple: [0x74],
  reduce: [0x52],
  persid: [0x51],
  false: [0x89],
  global: (module: string, name: string) => [0x63, ...text(`${module}\n${name}\n`)],
  string: (value: string) => [0x58, ...u32(text(value).length), ...text(value)],
  int: (value: number) => [0x4a, ...u32(value)],
  ints: (values: readonly number[]) => [0x28, ...values.flatMap((value) => op.int(value)), 0x74],
  /** A tensor view of a float storage. */
  tensor: (
    key: string,
    count: number,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ): number[] => [
    ...op.global('torch._utils', '_rebuild_tensor_v2'),
    ...op.mark,
    ...op.mark,
    ...op.string('storage'),
    ...op.global('torch', 'FloatStorage'),
    ...op.string(key),
    ...op.string('cpu'),
    ...op.int(count),
    ...op.tuple,
    ...op.persid,
    ...op.int(offset),
    ...op.ints(shape),
    ...op.ints(strides),
    ...op.false,
    ...op.global('collections', 'OrderedDict'),
    ...op.emptyTuple,
    ...op.reduce,
    ...op.tuple,
    ...op.reduce,
  ],
} as const;

/** The zip that torch.save writes, around a pickle and storages. */
export async function torchZip(
  pickle: readonly number[],
  storages: Readonly<Record<string, Float32Array<ArrayBuffer>>> = {},
  extra: Readonly<Record<string, string>> = {},
  level = 0,
): Promise<ByteSource> {
  const zip = new ZipWriter(new Uint8ArrayWriter(), { level, useWebWorkers: false });
  const add = (name: string, bytes: Uint8Array) => zip.add(`archive/${name}`, new Uint8ArrayReader(bytes));
  await add('data.pkl', Uint8Array.from(pickle));
  for (const [key, values] of Object.entries(storages)) {
    await add(`data/${key}`, new Uint8Array(values.buffer));
  }
  for (const [name, value] of Object.entries(extra)) {
    await add(name, new TextEncoder().encode(value));
  }
  return bytesSource(await zip.close());
}

/** A state dict with one tensor. */
export const oneTensor = (name: string, tensor: readonly number[]) => [
  ...op.proto,
  ...op.emptyDict,
  ...op.string(name),
  ...tensor,
  ...op.setItem,
  ...op.stop,
];

/** A field of protobuf: a number (varint), a float, bytes or text. */
type Field = readonly [field: number, value: number | string | Uint8Array | Float32Array<ArrayBuffer>];

/** A message of protobuf. */
export function message(...fields: readonly Field[]): Uint8Array {
  const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
  const bytes = fields.flatMap(([field, value]) => {
    if (typeof value === 'number') {
      return [...varint(field << 3), ...varint(value)];
    }
    if (value instanceof Float32Array) {
      return [...varint((field << 3) | 5), ...new Uint8Array(value.buffer)];
    }
    const content = typeof value === 'string' ? text(value) : [...value];
    return [...varint((field << 3) | 2), ...varint(content.length), ...content];
  });
  return Uint8Array.from(bytes);
}

/** An ONNX node. */
export const onnxNode = (op: string, inputs: readonly string[], output: string) =>
  message(...inputs.map((input) => [1, input] as const), [2, output], [4, op]);

/** An ONNX initializer. */
export const onnxTensor = (name: string, shape: readonly number[], dataType: number, values: ArrayBufferView) =>
  message(
    ...shape.map((size) => [1, size] as const),
    [2, dataType],
    [8, name],
    [9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
  );

/** A Constant node with the fields of its one attribute. */
export const onnxConstant = (output: string, ...attribute: readonly Field[]) =>
  message([2, output], [4, 'Constant'], [5, message(...attribute)]);

/** An ONNX initializer whose elements lie in another file. */
export const onnxExternal = (
  name: string,
  shape: readonly number[],
  dataType: number,
  entries: Readonly<Record<string, string>>,
) =>
  message(
    ...shape.map((size) => [1, size] as const),
    [2, dataType],
    [8, name],
    ...Object.entries(entries).map(([key, value]) => [13, message([1, key], [2, value])] as const),
    [14, 1],
  );

/** An ONNX model. */
export const onnxModel = (
  nodes: readonly Uint8Array[],
  initializers: readonly Uint8Array[],
  metadata: Readonly<Record<string, string>> = {},
) =>
  message(
    [1, 8],
    [7, message(...nodes.map((node) => [1, node] as const), ...initializers.map((tensor) => [5, tensor] as const))],
    ...Object.entries(metadata).map(([key, value]) => [14, message([1, key], [2, value])] as const),
  );
