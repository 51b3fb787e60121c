/** Writes ONNX graphs: what `onnx-graph.ts` reads, the other way round. */
import Pbf from 'pbf';
import { RillError } from '../errors.ts';
import { elementCount } from '../model/tensors.ts';
import { DATA_TYPE } from './onnx-graph.ts';

const IR_VERSION = 7;
const OPSET_VERSION = 13;
/** AttributeProto.AttributeType */
const ATTRIBUTE_TYPE = { int: 2, ints: 7 } as const;
/** Of a protobuf message. */
const MAX_BYTES = 2 ** 31 - 1;
/** Wire type of protobuf: bytes behind their number. */
const DELIMITED = 2;

type DataType = (typeof DATA_TYPE)[keyof typeof DATA_TYPE];
type Attributes = Readonly<Record<string, number | readonly number[]>>;
type Elements = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;

/** Axes of an input or output; one that is not fixed has a name. */
export type Dimensions = readonly (number | string)[];

interface Node {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Attributes;
}

interface Initializer {
  name: string;
  shape: readonly number[];
  dataType: DataType;
  raw: Uint8Array;
}

/** An input or output of the graph. */
interface Value {
  name: string;
  dimensions: Dimensions;
  dataType: DataType;
}

/** A graph while it is put together: values go by their names, and each method returns the name of what it gives. */
export class GraphWriter {
  readonly #name: string;
  readonly #metadata: Readonly<Record<string, string | number>>;
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, Initializer>();
  readonly #inputs: Value[] = [];
  readonly #outputs: Value[] = [];

  /** @param metadata what the file says of itself (metadata_props) */
  constructor(name: string, metadata: Readonly<Record<string, string | number>> = {}) {
    this.#name = name;
    this.#metadata = metadata;
  }

  input(name: string, dimensions: Dimensions, dataType: DataType = DATA_TYPE.float): string {
    this.#inputs.push({ name, dimensions, dataType });
    return name;
  }

  /** Announces an output of floats, which a node must give. */
  output(name: string, dimensions: Dimensions): string {
    this.#outputs.push({ name, dimensions, dataType: DATA_TYPE.float });
    return name;
  }

  floats(name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): string {
    return this.#initializer(name, shape, DATA_TYPE.float, values);
  }

  bytes(name: string, shape: readonly number[], values: Uint8Array<ArrayBuffer>): string {
    return this.#initializer(name, shape, DATA_TYPE.uint8, values);
  }

  /** A number, as a tensor without axes. */
  scalar(value: number): string {
    return this.floats(`float ${value}`, [], Float32Array.of(value));
  }

  ints(...values: number[]): string {
    return this.#initializer(
      `ints ${values.join()}`,
      [values.length],
      DATA_TYPE.int64,
      BigInt64Array.from(values, BigInt),
    );
  }

  /** @returns the first output */
  add(op: string, inputs: readonly string[], attributes: Attributes = {}, outputs = this.#newNames(op, 1)): string {
    this.#nodes.push({ op, inputs, outputs, attributes });
    return outputs[0];
  }

  /** A node of several outputs. */
  addMany(op: string, inputs: readonly string[], count: number, attributes: Attributes = {}): readonly string[] {
    const outputs = this.#newNames(op, count);
    this.add(op, inputs, attributes, outputs);
    return outputs;
  }

  /**
   * The file, a ModelProto (onnx.proto3).
   *
   * @throws RillError `bad-model` for more than 2 GB.
   */
  finish(): Uint8Array<ArrayBuffer> {
    const pieces = [
      written((pbf) => {
        pbf.writeVarintField(1, IR_VERSION);
        pbf.writeStringField(2, 'rill');
      }),
      ...delimited(7, this.#graph()),
      written((pbf) => {
        pbf.writeMessage(8, (version, inner) => inner.writeVarintField(2, version), OPSET_VERSION);
        Object.entries(this.#metadata).forEach((entry) => pbf.writeMessage(14, writeEntry, entry));
      }),
    ];
    const size = lengthOf(pieces);
    if (size > MAX_BYTES) {
      throw new RillError('bad-model', {
        got: `an ${this.#name}.onnx of ${size} bytes`,
        expected: `at most ${MAX_BYTES}, as protobuf allows`,
        remedy: 'Export it as int8.',
      });
    }
    return joined(pieces, size);
  }

  /** A GraphProto. */
  #graph(): Uint8Array[] {
    return [
      written((pbf) => {
        this.#nodes.forEach((node) => pbf.writeMessage(1, writeNode, node));
        pbf.writeStringField(2, this.#name);
      }),
      ...[...this.#initializers.values()].flatMap((initializer) => delimited(5, tensor(initializer))),
      written((pbf) => {
        this.#inputs.forEach((value) => pbf.writeMessage(11, writeValue, value));
        this.#outputs.forEach((value) => pbf.writeMessage(12, writeValue, value));
      }),
    ];
  }

  #initializer(name: string, shape: readonly number[], dataType: DataType, values: Elements): string {
    if (values.length !== elementCount(shape)) {
      throw new RillError('internal', {
        got: `${values.length} elements for ${name}`,
        expected: String(elementCount(shape)),
        remedy: 'Report this as a fault of Rill.',
      });
    }
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#initializers.set(name, { name, shape, dataType, raw });
    return name;
  }

  #newNames(op: string, count: number): readonly string[] {
    return Array.from({ length: count }, (_, i) => `${op}${this.#nodes.length}${i === 0 ? '' : `_${i}`}`);
  }
}

const lengthOf = (pieces: readonly Uint8Array[]) => pieces.reduce((sum, { length }) => sum + length, 0);

function joined(pieces: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  let position = 0;
  for (const piece of pieces) {
    bytes.set(piece, position);
    position += piece.length;
  }
  return bytes;
}

/** Fields without weights, which are small. */
function written(write: (pbf: Pbf) => void): Uint8Array {
  const pbf = new Pbf();
  write(pbf);
  return pbf.finish();
}

/** A field of bytes or of a message that is in pieces: weights are not copied before the file is put together. */
function delimited(tag: number, pieces: readonly Uint8Array[]): Uint8Array[] {
  const head = written((pbf) => {
    pbf.writeTag(tag, DELIMITED);
    pbf.writeVarint(lengthOf(pieces));
  });
  return [head, ...pieces];
}

// Each writer names the fields of onnx.proto3 that it fills, by their numbers.
function writeEntry([key, value]: readonly [string, string | number], pbf: Pbf): void {
  pbf.writeStringField(1, key);
  pbf.writeStringField(2, String(value));
}

function writeNode({ op, inputs, outputs, attributes }: Node, pbf: Pbf): void {
  inputs.forEach((name) => pbf.writeStringField(1, name));
  outputs.forEach((name) => pbf.writeStringField(2, name));
  pbf.writeStringField(3, outputs[0]);
  pbf.writeStringField(4, op);
  Object.entries(attributes).forEach((attribute) => pbf.writeMessage(5, writeAttribute, attribute));
}

function writeAttribute([name, value]: readonly [string, number | readonly number[]], pbf: Pbf): void {
  pbf.writeStringField(1, name);
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value);
    pbf.writeVarintField(20, ATTRIBUTE_TYPE.int);
  } else {
    value.forEach((each) => pbf.writeVarintField(8, each));
    pbf.writeVarintField(20, ATTRIBUTE_TYPE.ints);
  }
}

/** A TensorProto. */
function tensor({ name, shape, dataType, raw }: Initializer): Uint8Array[] {
  const head = written((pbf) => {
    shape.forEach((size) => pbf.writeVarintField(1, size));
    pbf.writeVarintField(2, dataType);
    pbf.writeStringField(8, name);
  });
  return [head, ...delimited(9, [raw])];
}

/** A ValueInfoProto with its TypeProto.Tensor. */
function writeValue({ name, dimensions, dataType }: Value, pbf: Pbf): void {
  const writeType = (_: unknown, type: Pbf) => {
    type.writeVarintField(1, dataType);
    type.writeMessage(2, writeShape, dimensions);
  };
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, (_, inner) => inner.writeMessage(1, writeType, undefined), undefined);
}

function writeShape(dimensions: Dimensions, pbf: Pbf): void {
  dimensions.forEach((dimension) => pbf.writeMessage(1, writeDimension, dimension));
}

function writeDimension(dimension: number | string, pbf: Pbf): void {
  if (typeof dimension === 'number') {
    pbf.writeVarintField(1, dimension);
  } else {
    pbf.writeStringField(2, dimension);
  }
}
