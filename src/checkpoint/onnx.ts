import { elementCount, shapeText, type TensorSource } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import type { ByteSource } from './bytes.ts';
import { readExternal, type FindBeside } from './onnx-external.ts';
import { readOnnx, type OnnxNode } from './onnx-graph.ts';
import { findRuns, foreign, type Operation, type Run } from './onnx-operations.ts';
import { dequantized, findWeights, isFloat, isFloats, type Weight } from './onnx-weights.ts';

/** Tags that can follow ir_version in a ModelProto: producer, domain, model version, doc string, graph, opset. */
const SECOND_TAGS: readonly number[] = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];

/** A ModelProto starts with its ir_version: field 1, a small varint. */
export const isOnnx = (start: Uint8Array) => start[0] === 0x08 && start[1] < 0x20 && SECOND_TAGS.includes(start[2]);

/** Of a protobuf message. */
const MAX_BYTES = 2 ** 31 - 1;

const zeros = (count: number): Weight => ({
  dtype: 'F32',
  shape: [count],
  key: () => `zeros ${count}`,
  read: () => new Float32Array(count),
});
const scalar = (value: number): Weight => ({
  dtype: 'F32',
  shape: [],
  key: () => String(value),
  read: () => Float32Array.of(value),
});

type Weights = Map<string, Weight>;

function set(weights: Weights, name: string, { weight, bias }: Operation): void {
  weights.set(`${name}.weight`, weight);
  if (bias) {
    weights.set(`${name}.bias`, bias);
  }
}

function encoderWeights(runs: readonly Run[]): Weights {
  const [embed = { operations: [] }, ...rest]: readonly Run[] = runs;
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
    const [ih, ...others] = operations.filter(({ isRecurrent }) => !isRecurrent);
    const [hh, second] = operations.filter(({ isRecurrent }) => isRecurrent);
    if (!hh || second || (others.length !== 2 && others.length !== 3)) {
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

/** The embedding of a decoder, which a quantizer may have left as integers that are scaled when they are taken. */
function findEmbedding(nodes: readonly OnnxNode[], weights: ReadonlyMap<string, Weight>): Weight | undefined {
  for (const { op, inputs, outputs } of nodes) {
    const table = weights.get(inputs[0]);
    if (op === 'Gather' && isFloats(table, 2)) {
      return table;
    }
    if (op === 'Gather' && table?.shape.length === 2) {
      const scaling = nodes.find((node) => node.op === 'DequantizeLinear' && node.inputs[0] === outputs[0]);
      const [, scale, zeroPoint] = scaling?.inputs.map((input) => weights.get(input)) ?? [];
      return scale && dequantized(table, 1, scale, zeroPoint);
    }
  }
  return undefined;
}

function decoderWeights(runs: readonly Run[], embedding: Weight | undefined): Weights {
  const operations = runs.flatMap((run) => run.operations);
  const conv = operations.find(({ weight }) => weight.shape.length === 3);
  const proj = operations.find(({ weight }) => weight.shape.length === 2);
  if (!embedding || !conv || !proj) {
    throw foreign('a decoder without embedding, convolution and projection');
  }
  const weights: Weights = new Map([
    ['decoder.embedding.weight', embedding],
    ['decoder.conv.weight', conv.weight],
  ]);
  set(weights, 'joiner.decoder_proj', proj);
  return weights;
}

function joinerWeights(runs: readonly Run[]): Weights {
  const operations = runs.flatMap((run) => run.operations);
  if (operations.length !== 1) {
    throw foreign(`a joiner with ${operations.length} matrices`);
  }
  const weights: Weights = new Map();
  set(weights, 'joiner.output_linear', operations[0]);
  return weights;
}

/**
 * Opens an ONNX file of icefall's export (export-onnx.py): the encoder (its LSTM unrolled, `joiner.encoder_proj`
 * at its end), the decoder (with `joiner.decoder_proj`) or the joiner, told apart by what is in them; in floats or
 * quantized to 8 bits; its weights inside the file or in others.
 *
 * @param findBeside finds the files that weights are kept in
 * @throws RillError `bad-checkpoint`.
 */
export async function openOnnx(source: ByteSource, findBeside: FindBeside): Promise<TensorSource> {
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
  const bytes = source.size + (await readExternal(graph, source, findBeside));
  const constants = findWeights(graph);
  const runs = findRuns(graph.nodes, constants);
  const embedding = findEmbedding(graph.nodes, constants);
  const isEncoder = graph.nodes.some(({ op }) => op === 'ReduceMean');
  const weights = isEncoder ? encoderWeights(runs) : embedding ? decoderWeights(runs, embedding) : joinerWeights(runs);
  for (const [name, weight] of weights) {
    if (!isFloat(weight)) {
      throw foreign(`${name} in integers without a scale`);
    }
  }
  const elements = [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (!(elements <= bytes)) {
    throw badCheckpoint(`tensors of ${elements} elements in ${bytes} bytes`, 'no more elements than bytes');
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
