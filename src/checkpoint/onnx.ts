import { badCheckpoint } from './bad-checkpoint.ts';
import { elementCount, shapeText, type TensorInfo, type TensorSource } from '../model/tensors.ts';
import type { ByteSource } from './bytes.ts';
import { isWeight, onnxValues, readOnnx, type OnnxGraph, type OnnxNode, type OnnxTensor } from './onnx-graph.ts';

/** Tags that can follow ir_version in a ModelProto: producer, domain, model version, doc string, graph, opset. */
const SECOND_TAGS: readonly number[] = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];

/** A ModelProto starts with its ir_version: field 1, a small varint. */
export const isOnnx = (start: Uint8Array) => start[0] === 0x08 && start[1] < 0x20 && SECOND_TAGS.includes(start[2]);

/** Of a protobuf message. */
const MAX_BYTES = 2 ** 31 - 1;

/** A weight found in a graph, under icefall's name for it. */
interface Weight extends TensorInfo {
  read: () => Float32Array<ArrayBuffer>;
}

/** A matrix or convolution of the graph with the bias added after it. */
interface Operation {
  weight: Weight;
  bias?: Weight;
}

/** Operations up to a BasicNorm, and its eps as a logarithm. */
interface Run {
  operations: Operation[];
  eps?: number;
}

function foreign(got: string): Error {
  return badCheckpoint(
    got,
    'the encoder, decoder or joiner that icefall’s LSTM recipe exports (model_type lstm)',
    'Other model families of sherpa-onnx are not supported.',
  );
}

const plain = (tensor: OnnxTensor): Weight => ({ dtype: 'F32', shape: tensor.shape, read: () => onnxValues(tensor) });

/** A matrix the other way round: ONNX multiplies from the right, PyTorch keeps (outputs, inputs). */
function transposed({ shape: [inputs, outputs], read }: Weight): Weight {
  return {
    dtype: 'F32',
    shape: [outputs, inputs],
    read() {
      const values = read();
      return values.map((_, i) => values[(i % inputs) * outputs + Math.floor(i / inputs)]);
    },
  };
}

const zeros = (count: number): Weight => ({ dtype: 'F32', shape: [count], read: () => new Float32Array(count) });
const scalar = (value: number): Weight => ({ dtype: 'F32', shape: [], read: () => Float32Array.of(value) });

/** The 8-bit weight of a MatMulInteger with its scale and zero point, one for the tensor or one per output. */
function dequantized({ constants }: OnnxGraph, node: OnnxNode, tensor: OnnxTensor): Weight {
  const scale = constants.get(tensor.name.replace(/_quantized$/, '_scale'));
  const zeroPoint = constants.get(node.inputs[3]);
  if (!scale || scale === tensor) {
    throw foreign(`${tensor.name} without its scale`);
  }
  return {
    dtype: 'F32',
    shape: tensor.shape,
    read() {
      const values = onnxValues(tensor);
      const scales = onnxValues(scale);
      const zeroPoints = zeroPoint ? onnxValues(zeroPoint) : new Float32Array(1);
      const outputs = tensor.shape[1];
      const at = (each: Float32Array, i: number) => each[each.length === 1 ? 0 : i % outputs];
      return values.map((value, i) => (value - at(zeroPoints, i)) * at(scales, i));
    },
  };
}

/**
 * The operations of a graph in their order, in runs that a BasicNorm ends, with its eps. Where the graph is
 * unrolled over frames, a weight comes up again for each: only its first use counts.
 */
function findRuns(graph: OnnxGraph): Run[] {
  const { nodes, constants } = graph;
  const producers = new Map<string, OnnxNode>();
  for (const node of nodes) {
    for (const output of node.outputs) {
      producers.set(output, node);
    }
  }
  const runs: Run[] = [{ operations: [] }];
  const seen = new Map<string, Operation>();
  let last: Operation | undefined;
  const add = (tensor: OnnxTensor, operation: Operation) => {
    // Equal content counts as the same weight: some exporters write a constant once per frame.
    const key = `${tensor.shape.join()} ${fingerprint(tensor)}`;
    last = seen.get(key);
    if (!last) {
      last = operation;
      seen.set(key, operation);
      runs[runs.length - 1].operations.push(operation);
    }
  };
  for (const node of nodes) {
    const [first, second, third] = node.inputs.map((input) => constants.get(input));
    if (node.op === 'Conv' && second && (isWeight(second, 4) || isWeight(second, 3))) {
      add(second, { weight: plain(second), bias: third && plain(third) });
    } else if (node.op === 'Gemm' && isWeight(second, 2)) {
      const weight = node.ints.get('transB') === 1 ? plain(second) : transposed(plain(second));
      add(second, { weight, bias: third && plain(third) });
    } else if (node.op === 'MatMul' && isWeight(second, 2)) {
      add(second, { weight: transposed(plain(second)) });
    } else if (node.op === 'MatMulInteger' && isWeight(second, 2)) {
      add(second, { weight: transposed(dequantized(graph, node, second)) });
    } else if (node.op === 'Add') {
      const bias = first ?? second;
      const other = producers.get(first ? node.inputs[1] : node.inputs[0]);
      if (bias && isWeight(bias, 1) && last && !last.bias && last.weight.shape[0] === bias.shape[0]) {
        last.bias = plain(bias);
      } else if (bias && elementCount(bias.shape) === 1 && other?.op === 'ReduceMean') {
        runs[runs.length - 1].eps ??= Math.log(onnxValues(bias)[0]);
        runs.push({ operations: [] });
      }
    }
  }
  return runs.filter(({ operations }) => operations.length > 0);
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

type Weights = Map<string, Weight>;

function set(weights: Weights, name: string, { weight, bias }: Operation): void {
  weights.set(`${name}.weight`, weight);
  if (bias) {
    weights.set(`${name}.bias`, bias);
  }
}

function encoderWeights(graph: OnnxGraph): Weights {
  const runs = findRuns(graph);
  const [embed = { operations: [] }, ...rest]: Run[] = runs;
  const layers = rest.filter(({ eps }) => eps !== undefined);
  const [head] = rest.filter(({ eps }) => eps === undefined);
  if (embed.operations.length !== 4 || embed.eps === undefined || layers.length === 0) {
    throw foreign(
      `an encoder that begins with ${embed.operations.length} operations and has ${layers.length} normed layers`,
    );
  }
  const weights: Weights = new Map();
  ['conv.0', 'conv.3', 'conv.6', 'out'].forEach((name, i) => {
    set(weights, `encoder.encoder_embed.${name}`, embed.operations[i]);
  });
  weights.set('encoder.encoder_embed.out_norm.eps', scalar(embed.eps));
  for (const [l, { operations, eps = 0 }] of layers.entries()) {
    const layer = `encoder.encoder.layers.${l}`;
    const [ih, hh, ...others] = operations;
    if (operations.length !== 4 && operations.length !== 5) {
      throw foreign(`layer ${l} with ${operations.length} matrices`);
    }
    const gates = ih.weight.shape[0];
    weights.set(`${layer}.lstm.weight_ih_l0`, ih.weight);
    weights.set(`${layer}.lstm.weight_hh_l0`, hh.weight);
    weights.set(`${layer}.lstm.bias_ih_l0`, ih.bias ?? zeros(gates));
    weights.set(`${layer}.lstm.bias_hh_l0`, hh.bias ?? zeros(gates));
    if (others.length === 3) {
      weights.set(`${layer}.lstm.weight_hr_l0`, others[0].weight);
    }
    set(weights, `${layer}.feed_forward.0`, others[others.length - 2]);
    set(weights, `${layer}.feed_forward.4`, others[others.length - 1]);
    weights.set(`${layer}.norm_final.eps`, scalar(eps));
  }
  if (head) {
    set(weights, 'joiner.encoder_proj', head.operations[0]);
  }
  return weights;
}

function decoderWeights(graph: OnnxGraph): Weights {
  const gather = graph.nodes.find(({ op, inputs }) => op === 'Gather' && isWeight(graph.constants.get(inputs[0]), 2));
  const embedding = gather && graph.constants.get(gather.inputs[0]);
  const operations = findRuns(graph).flatMap((run) => run.operations);
  const conv = operations.find(({ weight }) => weight.shape.length === 3);
  const proj = operations.find(({ weight }) => weight.shape.length === 2);
  if (!embedding || !conv || !proj) {
    throw foreign('a decoder without embedding, convolution and projection');
  }
  const weights: Weights = new Map([
    ['decoder.embedding.weight', plain(embedding)],
    ['decoder.conv.weight', conv.weight],
  ]);
  set(weights, 'joiner.decoder_proj', proj);
  return weights;
}

function joinerWeights(graph: OnnxGraph): Weights {
  const operations = findRuns(graph).flatMap((run) => run.operations);
  if (operations.length !== 1) {
    throw foreign(`a joiner with ${operations.length} matrices`);
  }
  const weights: Weights = new Map();
  set(weights, 'joiner.output_linear', operations[0]);
  return weights;
}

/**
 * Opens an ONNX file of icefall's export (export-onnx.py): the encoder (its LSTM unrolled, `joiner.encoder_proj`
 * at its end), the decoder (with `joiner.decoder_proj`) or the joiner, told apart by what is in them; float32 or
 * dynamically quantized to 8 bits.
 *
 * @throws RillError `bad-checkpoint`.
 */
export async function openOnnx(source: ByteSource): Promise<TensorSource> {
  if (source.size > MAX_BYTES) {
    throw badCheckpoint(
      `an ONNX file of ${source.size} bytes`,
      `at most ${MAX_BYTES}, as protobuf allows`,
      'Convert the PyTorch checkpoint that it was exported from.',
    );
  }
  const graph = readOnnx(await source.read(0, source.size));
  const type = graph.metadata.get('model_type');
  if (type !== undefined && type !== 'lstm') {
    throw foreign(`an ONNX model of type ${JSON.stringify(type)}`);
  }
  const has = (op: string) => graph.nodes.some((node) => node.op === op);
  const weights = has('ReduceMean')
    ? encoderWeights(graph)
    : has('Gather')
      ? decoderWeights(graph)
      : joinerWeights(graph);
  const elements = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (elements > source.size) {
    throw badCheckpoint(
      `tensors of ${elements} elements in a file of ${source.size} bytes`,
      'no more elements than bytes',
    );
  }
  return {
    tensors: weights,
    async read(name) {
      const weight = weights.get(name);
      if (!weight) {
        throw badCheckpoint(`no tensor ${name}`, 'one of that name');
      }
      const values = weight.read();
      if (values.length !== elementCount(weight.shape)) {
        throw badCheckpoint(`${values.length} elements for ${name}`, shapeText(weight.shape));
      }
      return values;
    },
  };
}
