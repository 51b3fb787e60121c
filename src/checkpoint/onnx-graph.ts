import Pbf from 'pbf';
import { RillError } from '../errors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';

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
  /** Whether the elements lie in another file, and where: `location`, `offset`, `length`. */
  isExternal: boolean;
  external: Map<string, string>;
}

/** TensorProto.DataType */
export const DATA_TYPE = {
  float: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
  double: 11,
  bfloat16: 16,
} as const;

export interface OnnxNode {
  op: string;
  inputs: string[];
  outputs: string[];
  /** Integer attributes. */
  ints: Map<string, number>;
  /** Attributes that are a value of a Constant. */
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

/** The two strings of a StringStringEntryProto: key and value. */
function readEntry(tag: number, pair: string[], pbf: Pbf): void {
  if (tag === 1 || tag === 2) {
    pair[tag - 1] = pbf.readString();
  }
}

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
  } else if (tag === 10) {
    // double_data
    pbf.readPackedDouble(tensor.numbers);
  } else if (tag === 13) {
    // external_data
    const [key, value] = pbf.readMessage(readEntry, ['', '']);
    tensor.external.set(key, value);
  } else if (tag === 14) {
    // data_location
    tensor.isExternal = pbf.readVarint() === 1;
  }
}

const newTensor = (): OnnxTensor => ({
  name: '',
  shape: [],
  dataType: 0,
  raw: new Uint8Array(0),
  numbers: [],
  isExternal: false,
  external: new Map(),
});

interface OnnxAttribute {
  name: string;
  float: number;
  int?: number;
  tensor?: OnnxTensor;
  floats: number[];
  ints: number[];
}

/** The value of a Constant, by whichever of its attributes gives it; texts are no value here. */
function constantValue({ name, float, int = 0, tensor, floats, ints }: OnnxAttribute): OnnxTensor | undefined {
  const listed = (dataType: number, numbers: number[], shape: number[]) => ({
    ...newTensor(),
    dataType,
    numbers,
    shape,
  });
  switch (name) {
    case 'value':
      return tensor;
    case 'value_float':
      return listed(DATA_TYPE.float, [float], []);
    case 'value_floats':
      return listed(DATA_TYPE.float, floats, [floats.length]);
    case 'value_int':
      return listed(DATA_TYPE.int64, [int], []);
    case 'value_ints':
      return listed(DATA_TYPE.int64, ints, [ints.length]);
    default:
      return undefined;
  }
}

function readAttribute(tag: number, attribute: OnnxAttribute, pbf: Pbf): void {
  if (tag === 1) {
    // name
    attribute.name = pbf.readString();
  } else if (tag === 2) {
    // f
    attribute.float = pbf.readFloat();
  } else if (tag === 3) {
    // i
    attribute.int = pbf.readVarint(true);
  } else if (tag === 5) {
    // t
    attribute.tensor = pbf.readMessage(readTensor, newTensor());
  } else if (tag === 7) {
    // floats
    pbf.readPackedFloat(attribute.floats);
  } else if (tag === 8) {
    // ints
    pbf.readPackedVarint(attribute.ints, true);
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
    const attribute = pbf.readMessage<OnnxAttribute>(readAttribute, { name: '', float: 0, floats: [], ints: [] });
    if (attribute.int !== undefined) {
      node.ints.set(attribute.name, attribute.int);
    }
    node.value ??= constantValue(attribute);
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
    const [key, value] = pbf.readMessage(readEntry, ['', '']);
    graph.metadata.set(key, value);
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
  return graph;
}
