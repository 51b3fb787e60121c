/**
 * The encoder of a model folder as ONNX, for other runtimes: the graph that icefall's export makes, with the LSTM
 * unrolled over the frames of a chunk. States are split per layer, because joining all of them takes more storage
 * buffers than WebGPU's default limit allows.
 */
import Pbf from 'pbf';
import type { Model } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../../src/model/sizes.ts';

const IR_VERSION = 7;
const OPSET_VERSION = 13;
/** TensorProto.DataType */
const FLOAT = 1;
const INT64 = 7;
/** AttributeProto.AttributeType */
const INT = 2;
const INTS = 7;

type Attributes = Readonly<Record<string, number | readonly number[]>>;
type Shape = readonly number[];

interface Node {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Attributes;
}

interface Tensor {
  name: string;
  shape: Shape;
  dataType: typeof FLOAT | typeof INT64;
  raw: Uint8Array;
}

/** A float input or output of the graph. */
interface Value {
  name: string;
  shape: Shape;
}

/** A graph (GraphProto) while it is put together: each method adds a node and returns the name of what it gives. */
class Graph {
  readonly nodes: Node[] = [];
  readonly initializers: Tensor[] = [];
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];

  input(name: string, shape: Shape): string {
    this.inputs.push({ name, shape });
    return name;
  }

  /** Announces an output, which a node must give. */
  output(name: string, shape: Shape): string {
    this.outputs.push({ name, shape });
    return name;
  }

  floats(name: string, shape: Shape, values: Float32Array): string {
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.initializers.push({ name, shape, dataType: FLOAT, raw });
    return name;
  }

  /** A number, as a tensor without axes. */
  scalar(value: number): string {
    return this.floats(`constant${this.initializers.length}`, [], Float32Array.of(value));
  }

  ints(...values: number[]): string {
    const name = `constant${this.initializers.length}`;
    const raw = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    this.initializers.push({ name, shape: [values.length], dataType: INT64, raw });
    return name;
  }

  add(op: string, inputs: readonly string[], attributes: Attributes = {}, outputs = [this.#newName(op)]): string {
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs[0];
  }

  /** Equal parts along the first axis, that axis gone. */
  unstack(x: string, parts: number): string[] {
    const outputs = Array.from({ length: parts }, (_, i) => `${this.#newName('Split')}_${i}`);
    this.add('Split', [x, this.ints(...outputs.map(() => 1))], { axis: 0 }, outputs);
    return outputs.map((part) => this.add('Squeeze', [part, this.ints(0)]));
  }

  /** x · weightᵀ, `weight` as PyTorch keeps it: (outputs, inputs). */
  matMul(x: string, weight: string): string {
    return this.add('MatMul', [x, this.add('Transpose', [weight], { perm: [1, 0] })]);
  }

  doubleSwish(x: string): string {
    return this.add('Mul', [x, this.add('Sigmoid', [this.add('Sub', [x, this.scalar(1)])])]);
  }

  /** x · (mean(x²) + eps)^(−1/2) over the last axis. */
  basicNorm(x: string, eps: number): string {
    const mean = this.add('ReduceMean', [this.add('Mul', [x, x])], { axes: [2], keepdims: 1 });
    const scale = this.add('Pow', [this.add('Add', [mean, this.scalar(eps)]), this.scalar(-0.5)]);
    return this.add('Mul', [x, scale]);
  }

  #newName(op: string): string {
    return `${op}${this.nodes.length}`;
  }
}

/**
 * Writes the encoder for chunks of `frames` encoder frames: from `x` (1, 4 frames + 5, num_features) and per layer
 * `h{l}` (1, 1, d_model) and `c{l}` (1, 1, hidden) to `encoder_out` (1, frames, d_model), `next_h{l}`, `next_c{l}`.
 */
export async function exportEncoder({ sizes, weights }: Model, frames: number): Promise<Uint8Array<ArrayBuffer>> {
  const { numFeatures, dModel: d, rnnHiddenSize: hidden, hasProjection, numEncoderLayers } = sizes.encoder;
  const graph = new Graph();
  const read = (name: string) => weights.read(`encoder.${name}`);
  const weight = async (name: string) =>
    graph.floats(name, weights.tensors.get(`encoder.${name}`)?.shape ?? [], await read(name));
  const eps = async (name: string) => Math.exp((await read(name))[0]);

  // x (1, T, F) -> (1, 128, frames, F') -> (1, frames, d)
  let x = graph.input('x', [1, SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES, numFeatures]);
  x = graph.add('Unsqueeze', [x, graph.ints(1)]);
  for (const [position, stride] of [
    [0, 1],
    [3, 2],
    [6, 2],
  ]) {
    const conv = `encoder_embed.conv.${position}`;
    const inputs = [x, await weight(`${conv}.weight`), await weight(`${conv}.bias`)];
    x = graph.doubleSwish(graph.add('Conv', inputs, { kernel_shape: [3, 3], strides: [stride, stride] }));
  }
  x = graph.add('Transpose', [x], { perm: [0, 2, 1, 3] });
  x = graph.add('Reshape', [x, graph.ints(1, frames, -1)]);
  x = graph.matMul(x, await weight('encoder_embed.out.weight'));
  x = graph.add('Add', [await weight('encoder_embed.out.bias'), x]);
  x = graph.basicNorm(x, await eps('encoder_embed.out_norm.eps'));
  x = graph.add('Transpose', [x], { perm: [1, 0, 2] }); // (frames, 1, d), as the LSTM takes it

  for (let l = 0; l < numEncoderLayers; l++) {
    const layer = `encoder.layers.${l}`;
    const ih = await weight(`${layer}.lstm.weight_ih_l0`);
    const hh = await weight(`${layer}.lstm.weight_hh_l0`);
    const hr = hasProjection ? await weight(`${layer}.lstm.weight_hr_l0`) : undefined;
    const [ihBias, hhBias] = [await read(`${layer}.lstm.bias_ih_l0`), await read(`${layer}.lstm.bias_hh_l0`)];
    const bias = graph.floats(
      `${layer}.lstm.bias`,
      [4 * hidden],
      ihBias.map((value, i) => value + hhBias[i]),
    );
    let h = graph.add('Squeeze', [graph.input(`h${l}`, [1, 1, d]), graph.ints(0)]);
    let c = graph.add('Squeeze', [graph.input(`c${l}`, [1, 1, hidden]), graph.ints(0)]);
    const outputs: string[] = [];
    for (const frame of graph.unstack(x, frames)) {
      const gates = graph.add('Add', [graph.add('Gemm', [frame, ih, bias], { transB: 1 }), graph.matMul(h, hh)]);
      const [i, f, g, o] = ['Sigmoid', 'Sigmoid', 'Tanh', 'Sigmoid'].map((activation, gate) => {
        const range = [graph.ints(gate * hidden), graph.ints((gate + 1) * hidden), graph.ints(1)];
        return graph.add(activation, [graph.add('Slice', [gates, ...range])]);
      });
      c = graph.add('Add', [graph.add('Mul', [f, c]), graph.add('Mul', [i, g])]);
      h = graph.add('Mul', [o, graph.add('Tanh', [c])]);
      h = hr ? graph.matMul(h, hr) : h;
      outputs.push(graph.add('Unsqueeze', [h, graph.ints(0)]));
    }
    graph.add('Unsqueeze', [h, graph.ints(0)], {}, [graph.output(`next_h${l}`, [1, 1, d])]);
    graph.add('Unsqueeze', [c, graph.ints(0)], {}, [graph.output(`next_c${l}`, [1, 1, hidden])]);
    x = graph.add('Add', [graph.add('Concat', outputs, { axis: 0 }), x]);

    let forward = graph.matMul(x, await weight(`${layer}.feed_forward.0.weight`));
    forward = graph.doubleSwish(graph.add('Add', [await weight(`${layer}.feed_forward.0.bias`), forward]));
    forward = graph.matMul(forward, await weight(`${layer}.feed_forward.4.weight`));
    forward = graph.add('Add', [await weight(`${layer}.feed_forward.4.bias`), forward]);
    x = graph.basicNorm(graph.add('Add', [x, forward]), await eps(`${layer}.norm_final.eps`));
  }
  graph.add('Transpose', [x], { perm: [1, 0, 2] }, [graph.output('encoder_out', [1, frames, d])]);
  return writeModel(graph);
}

/** A ModelProto (onnx.proto3). */
function writeModel(graph: Graph): Uint8Array<ArrayBuffer> {
  const pbf = new Pbf();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeStringField(2, 'rill');
  pbf.writeMessage(7, writeGraph, graph);
  pbf.writeMessage(8, (version, inner) => inner.writeVarintField(2, version), OPSET_VERSION);
  return new Uint8Array(pbf.finish());
}

function writeGraph({ nodes, initializers, inputs, outputs }: Graph, pbf: Pbf): void {
  nodes.forEach((node) => pbf.writeMessage(1, writeNode, node));
  pbf.writeStringField(2, 'encoder');
  initializers.forEach((tensor) => pbf.writeMessage(5, writeTensor, tensor));
  inputs.forEach((value) => pbf.writeMessage(11, writeValue, value));
  outputs.forEach((value) => pbf.writeMessage(12, writeValue, value));
}

function writeNode({ op, inputs, outputs, attributes }: Node, pbf: Pbf): void {
  inputs.forEach((name) => pbf.writeStringField(1, name));
  outputs.forEach((name) => pbf.writeStringField(2, name));
  pbf.writeStringField(3, outputs[0]);
  pbf.writeStringField(4, op);
  Object.entries(attributes).forEach((attribute) => pbf.writeMessage(5, writeAttribute, attribute));
}

function writeAttribute([name, value]: [string, number | readonly number[]], pbf: Pbf): void {
  pbf.writeStringField(1, name);
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value);
    pbf.writeVarintField(20, INT);
  } else {
    value.forEach((each) => pbf.writeVarintField(8, each));
    pbf.writeVarintField(20, INTS);
  }
}

function writeTensor({ name, shape, dataType, raw }: Tensor, pbf: Pbf): void {
  shape.forEach((size) => pbf.writeVarintField(1, size));
  pbf.writeVarintField(2, dataType);
  pbf.writeStringField(8, name);
  pbf.writeBytesField(9, raw);
}

/** A ValueInfoProto with its TypeProto.Tensor. */
function writeValue({ name, shape }: Value, pbf: Pbf): void {
  const writeDimension = (size: number, inner: Pbf) => inner.writeVarintField(1, size);
  const writeShape = (_: Value, inner: Pbf) => shape.forEach((size) => inner.writeMessage(1, writeDimension, size));
  const writeType = (value: Value, inner: Pbf) => {
    inner.writeVarintField(1, FLOAT);
    inner.writeMessage(2, writeShape, value);
  };
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, (value, inner) => inner.writeMessage(1, writeType, value), { name, shape });
}
