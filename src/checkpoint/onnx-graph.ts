import { badCheckpoint } from './bad-checkpoint.ts';
import Pbf from 'pbf';
import { RillError, shown } from '../errors.ts';
import { DTYPE_BYTES, decodeFloats, elementCount, shapeText, type DType } from '../model/tensors.ts';

/** A TensorProto. */
export interface OnnxTensor {
  name: string;
  shape: number[];
  /** TensorProto.DataType */
  dataType: number;
  /** Little-endian elements. */
  raw: Uint8Array;
  /** Elements given as numbers instead. */
  numbers: number[];
  external: boolean;
  /** The elements lie in the order of the other axis first. */
  transposed: boolean;
}

export interface OnnxNode {
  op: string;
  inputs: string[];
  outputs: string[];
  /** Integer attributes. */
  ints: Map<string, number>;
  /** The value of a Constant. */
  value?: OnnxTensor;
}

/** As much of a model as a converter needs. */
export interface OnnxGraph {
  nodes: OnnxNode[];
  /** Initializers and the values of Constant nodes, by the name that nodes use. */
  constants: Map<string, OnnxTensor>;
  metadata: Map<string, string>;
}

/** Nodes and constants; a recipe's encoder of twelve layers, unrolled over frames, has some thousands. */
const MAX_ITEMS = 200_000;

/** TensorProto.DataType */
const INT8 = 3;
const UINT8 = 2;
const FLOAT_TYPES: Readonly<Record<number, DType>> = { 1: 'F32', 10: 'F16', 11: 'F64', 16: 'BF16' };

// Each reader names the fields of onnx.proto3 that it takes, by their numbers.
function readTensor(tag: number, tensor: OnnxTensor, pbf: Pbf): void {
  if (tag === 1) {
    // dims
    pbf.readPackedVarint(tensor.shape, true);
  } else if (tag === 2) {
    // data_type
    tensor.dataType = pbf.readVarint();
  } else if (tag === 4) {
    // float_data
    pbf.readPackedFloat(tensor.numbers);
  } else if (tag === 5) {
    // int32_data
    pbf.readPackedVarint(tensor.numbers, true);
  } else if (tag === 8) {
    // name
    tensor.name = pbf.readString();
  } else if (tag === 9) {
    // raw_data
    tensor.raw = pbf.readBytes();
  } else if (tag === 14) {
    // data_location
    tensor.external = pbf.readVarint() === 1;
  }
}

const newTensor = (): OnnxTensor => ({
  name: '',
  shape: [],
  dataType: 0,
  raw: new Uint8Array(0),
  numbers: [],
  external: false,
  transposed: false,
});

interface OnnxAttribute {
  name: string;
  int?: number;
  tensor?: OnnxTensor;
}

function readAttribute(tag: number, attribute: OnnxAttribute, pbf: Pbf): void {
  if (tag === 1) {
    // name
    attribute.name = pbf.readString();
  } else if (tag === 3) {
    // i
    attribute.int = pbf.readVarint(true);
  } else if (tag === 5) {
    // t
    attribute.tensor = pbf.readMessage(readTensor, newTensor());
  }
}

function readNode(tag: number, node: OnnxNode, pbf: Pbf): void {
  if (tag === 1) {
    // input
    node.inputs.push(pbf.readString());
  } else if (tag === 2) {
    // output
    node.outputs.push(pbf.readString());
  } else if (tag === 4) {
    // op_type
    node.op = pbf.readString();
  } else if (tag === 5) {
    // attribute
    const { name, int, tensor } = pbf.readMessage<OnnxAttribute>(readAttribute, { name: '' });
    if (int !== undefined) {
      node.ints.set(name, int);
    }
    node.value = name === 'value' ? tensor : node.value;
  }
}

function readGraph(tag: number, graph: OnnxGraph, pbf: Pbf): void {
  if (tag === 1) {
    // node
    const node = pbf.readMessage<OnnxNode>(readNode, { op: '', inputs: [], outputs: [], ints: new Map() });
    if (node.op === 'Constant' && node.value) {
      graph.constants.set(node.outputs[0], node.value);
    } else {
      graph.nodes.push(node);
    }
  } else if (tag === 5) {
    // initializer
    const tensor = pbf.readMessage(readTensor, newTensor());
    graph.constants.set(tensor.name, tensor);
  }
  if (graph.nodes.length + graph.constants.size > MAX_ITEMS) {
    throw badCheckpoint(`an ONNX graph of more than ${MAX_ITEMS} nodes and constants`, 'a recipe’s network');
  }
}

function readModel(tag: number, graph: OnnxGraph, pbf: Pbf): void {
  if (tag === 7) {
    // graph
    pbf.readMessage(readGraph, graph);
  } else if (tag === 14) {
    // metadata_props
    const entry = pbf.readMessage(
      (field, pair: string[], inner) => {
        if (field === 1 || field === 2) {
          pair[field - 1] = inner.readString();
        }
      },
      ['', ''],
    );
    graph.metadata.set(entry[0], entry[1]);
  }
}

/**
 * Reads a ModelProto (onnx.proto3); weights stay views of `bytes`.
 *
 * @throws RillError `bad-checkpoint`.
 */
export function readOnnx(bytes: Uint8Array): OnnxGraph {
  const graph: OnnxGraph = { nodes: [], constants: new Map(), metadata: new Map() };
  const pbf = new Pbf(bytes);
  let end: number;
  try {
    pbf.readFields(readModel, graph);
    end = pbf.pos;
  } catch (cause) {
    if (cause instanceof RillError) {
      throw cause;
    }
    throw badCheckpoint(
      `an ONNX file that cannot be read (${cause instanceof Error ? cause.message : String(cause)})`,
      'a whole file',
    );
  }
  if (end !== bytes.length || graph.nodes.length === 0) {
    throw badCheckpoint(
      `an ONNX file of ${bytes.length} bytes that ends inside an item or has no nodes`,
      'a whole file',
    );
  }
  for (const { name, external } of graph.constants.values()) {
    if (external) {
      throw badCheckpoint(
        `${shown(name)}, whose data lie in another file`,
        'weights inside the file',
        'Export the model again, with its weights inside.',
      );
    }
  }
  // Exporters share equal weights through Identity nodes, and leave the transposition of a weight to the graph.
  for (const { op, inputs, outputs } of graph.nodes) {
    const constant = graph.constants.get(inputs[0]);
    if (constant && op === 'Identity') {
      graph.constants.set(outputs[0], constant);
    } else if (constant?.shape.length === 2 && op === 'Transpose') {
      const [rows, columns] = constant.shape;
      graph.constants.set(outputs[0], { ...constant, shape: [columns, rows], transposed: !constant.transposed });
    }
  }
  return graph;
}

const isFloat = ({ dataType }: OnnxTensor) => dataType in FLOAT_TYPES;
const isQuantized = ({ dataType }: OnnxTensor) => dataType === INT8 || dataType === UINT8;

/** The elements of a constant as float32; 8-bit integers as they are. */
export function onnxValues(tensor: OnnxTensor): Float32Array<ArrayBuffer> {
  const { name, shape, raw, numbers } = tensor;
  const count = elementCount(shape);
  const width = isFloat(tensor) ? DTYPE_BYTES[FLOAT_TYPES[tensor.dataType]] : 1;
  if (!(isFloat(tensor) || isQuantized(tensor)) || (numbers.length || raw.length / width) !== count) {
    throw badCheckpoint(
      `${shown(name)} of type ${tensor.dataType}, shape ${shapeText(shape)} and ${numbers.length || raw.length / width} elements`,
      'float or 8-bit weights',
    );
  }
  const values = storedValues(tensor);
  const [rows, columns] = shape;
  return tensor.transposed ? values.map((_, i) => values[(i % columns) * rows + Math.floor(i / columns)]) : values;
}

function storedValues(tensor: OnnxTensor): Float32Array<ArrayBuffer> {
  const { dataType, raw, numbers } = tensor;
  if (numbers.length) {
    // Half-precision numbers are written as their bit patterns.
    const isHalf = isFloat(tensor) && DTYPE_BYTES[FLOAT_TYPES[dataType]] === 2;
    return isHalf
      ? decodeFloats(new Uint8Array(Uint16Array.from(numbers).buffer), FLOAT_TYPES[dataType])
      : Float32Array.from(numbers);
  }
  if (isFloat(tensor)) {
    return decodeFloats(raw, FLOAT_TYPES[dataType]);
  }
  return Float32Array.from(dataType === INT8 ? new Int8Array(raw.buffer, raw.byteOffset, raw.length) : raw);
}

/** Whether a constant can be a weight: floats, or the 8-bit weights of dynamic quantization. */
export const isWeight = (tensor: OnnxTensor | undefined, rank: number): tensor is OnnxTensor =>
  tensor?.shape.length === rank && tensor.shape.every((size) => size >= 0) && (isFloat(tensor) || isQuantized(tensor));
