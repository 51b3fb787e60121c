/** The encoder of a model as an ONNX graph: the one that icefall's export makes, the LSTM unrolled over frames. */
import { quantizeRows } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR } from '../model/sizes.ts';
import { readFinite } from '../model/tensors.ts';
import { DATA_TYPE } from './onnx-graph.ts';
import { GraphWriter } from './onnx-writer.ts';

export interface EncoderForm {
  /** Encoder frames that the graph takes at a time. */
  frames: number;
  /**
   * `joined`: all layers' h in `state0` (layers, N, d_model), all c in `state1` (layers, N, hidden), for a batch of any
   * size, as sherpa-onnx has them. `perLayer`: `h{l}` (1, 1, d_model) and `c{l}` (1, 1, hidden), for one stream: to join
   * the states of many layers takes more storage buffers than WebGPU's default limit allows.
   */
  states: 'joined' | 'perLayer';
  /** Whether `joiner.encoder_proj` stands at the end. */
  withProjection: boolean;
  /** What the matrices are: `int8` is what onnxruntime's quantize_dynamic writes, with a scale for each output. */
  dtype: 'f32' | 'int8';
  /** What the file says of itself. */
  metadata?: Readonly<Record<string, string | number>>;
}

/** What stands for the zero of an 8-bit weight: unsigned ones are multiplied without overflow on every processor. */
const ZERO_POINT = 128;
/** The whole number that stands for the largest weight of a row. */
const LARGEST = 127;

/** A matrix in the graph: its columns are outputs, unlike PyTorch's. */
interface Matrix {
  weight: string;
  /** Of 8-bit weights. */
  scale?: string;
}

/** A graph that takes a model's weights by their names inside the encoder. */
class EncoderWriter {
  readonly graph: GraphWriter;
  readonly #model: Model;
  readonly #dtype: EncoderForm['dtype'];
  /** What 8-bit activations were made of which value: many matrices take the same. */
  readonly #quantized = new Map<string, readonly string[]>();

  constructor(graph: GraphWriter, model: Model, dtype: EncoderForm['dtype']) {
    this.graph = graph;
    this.#model = model;
    this.#dtype = dtype;
  }

  read(name: string): Promise<Float32Array<ArrayBuffer>> {
    return readFinite(this.#model.weights, name);
  }

  async weight(name: string): Promise<string> {
    return this.graph.floats(name, this.#shape(name), await this.read(name));
  }

  /** A matrix, (outputs, inputs) in the model. */
  async matrix(name: string): Promise<Matrix> {
    const [outputs, inputs] = this.#shape(name);
    const shape = [inputs, outputs];
    const values = await this.read(name);
    if (this.#dtype === 'f32') {
      return { weight: this.graph.floats(name, shape, transpose(values, outputs, new Float32Array(values.length))) };
    }
    const { values: integers, scales } = quantizeRows(values, outputs);
    const bytes = integers.map((value) => value + ZERO_POINT);
    const steps = scales.map((largest) => largest / LARGEST);
    return {
      weight: this.graph.bytes(`${name}_quantized`, shape, transpose(bytes, outputs, new Uint8Array(bytes.length))),
      scale: this.graph.floats(`${name}_scale`, [outputs], steps),
    };
  }

  matMul(x: string, { weight, scale }: Matrix): string {
    if (scale === undefined) {
      return this.graph.add('MatMul', [x, weight]);
    }
    const known = this.#quantized.get(x);
    const [quantized, xScale, xZeroPoint] = known ?? this.graph.addMany('DynamicQuantizeLinear', [x], 3);
    this.#quantized.set(x, [quantized, xScale, xZeroPoint]);
    const zeroPoint = this.graph.bytes('weight_zero_point', [], Uint8Array.of(ZERO_POINT));
    const product = this.graph.add('MatMulInteger', [quantized, weight, xZeroPoint, zeroPoint]);
    const floats = this.graph.add('Cast', [product], { to: DATA_TYPE.float });
    return this.graph.add('Mul', [floats, this.graph.add('Mul', [xScale, scale])]);
  }

  /** x · weightᵀ + bias, of a layer that has both. */
  async linear(x: string, layer: string): Promise<string> {
    const product = this.matMul(x, await this.matrix(`${layer}.weight`));
    return this.graph.add('Add', [await this.weight(`${layer}.bias`), product]);
  }

  doubleSwish(x: string): string {
    const shifted = this.graph.add('Sub', [x, this.graph.scalar(1)]);
    return this.graph.add('Mul', [x, this.graph.add('Sigmoid', [shifted])]);
  }

  /** x · (mean(x²) + eps)^(−1/2) over the last axis; the model keeps the logarithm of eps. */
  async basicNorm(x: string, epsName: string): Promise<string> {
    const { graph } = this;
    const eps = graph.scalar(Math.exp((await this.read(epsName))[0]));
    const mean = graph.add('ReduceMean', [graph.add('Mul', [x, x])], { axes: [2], keepdims: 1 });
    return graph.add('Mul', [x, graph.add('Pow', [graph.add('Add', [mean, eps]), graph.scalar(-0.5)])]);
  }

  #shape(name: string): readonly number[] {
    return this.#model.weights.tensors.get(name)?.shape ?? [];
  }
}

/** A matrix of so many rows, the other way round, into `result`. */
function transpose<Result extends Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(
  values: ArrayLike<number>,
  rows: number,
  result: Result,
): Result {
  const columns = values.length / rows;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[column * rows + row] = values[row * columns + column];
    }
  }
  return result;
}

/** Equal parts along the first axis, that axis gone. */
function unstack(graph: GraphWriter, x: string, parts: number): string[] {
  const sizes = graph.ints(...Array<number>(parts).fill(1));
  return graph
    .addMany('Split', [x, sizes], parts, { axis: 0 })
    .map((part) => graph.add('Squeeze', [part, graph.ints(0)]));
}

/** Places `from` to `to` of the first or last axis. */
function slice(graph: GraphWriter, x: string, axis: number, from: number, to: number): string {
  return graph.add('Slice', [x, graph.ints(from), graph.ints(to), graph.ints(axis)]);
}

/** x (N, T, F) to (frames, N, d_model), as the LSTM takes it. */
async function embed(writer: EncoderWriter, features: string, frames: number): Promise<string> {
  const { graph } = writer;
  let x = graph.add('Unsqueeze', [features, graph.ints(1)]);
  for (const [position, stride] of [
    [0, 1],
    [3, 2],
    [6, 2],
  ]) {
    const conv = `encoder.encoder_embed.conv.${position}`;
    const inputs = [x, await writer.weight(`${conv}.weight`), await writer.weight(`${conv}.bias`)];
    x = writer.doubleSwish(graph.add('Conv', inputs, { kernel_shape: [3, 3], strides: [stride, stride] }));
  }
  x = graph.add('Transpose', [x], { perm: [0, 2, 1, 3] });
  // 0: as many as before.
  x = graph.add('Reshape', [x, graph.ints(0, frames, -1)]);
  x = await writer.linear(x, 'encoder.encoder_embed.out');
  x = await writer.basicNorm(x, 'encoder.encoder_embed.out_norm.eps');
  return graph.add('Transpose', [x], { perm: [1, 0, 2] });
}

/** Names of values: h (N, d_model), c (N, hidden). */
interface State {
  h: string;
  c: string;
}

/** An LSTM over frames: what it gives for each, and the state behind the last. */
async function lstm(
  writer: EncoderWriter,
  layer: string,
  frames: readonly string[],
  { rnnHiddenSize: hidden, hasProjection }: Model['sizes']['encoder'],
  state: State,
): Promise<{ outputs: string[]; state: State }> {
  const { graph } = writer;
  const [inputWeight, hiddenWeight] = [
    await writer.matrix(`${layer}.weight_ih_l0`),
    await writer.matrix(`${layer}.weight_hh_l0`),
  ];
  const projection = hasProjection ? await writer.matrix(`${layer}.weight_hr_l0`) : undefined;
  const [inputBias, hiddenBias] = [await writer.read(`${layer}.bias_ih_l0`), await writer.read(`${layer}.bias_hh_l0`)];
  const sum = inputBias.map((value, i) => value + hiddenBias[i]);
  const bias = graph.floats(`${layer}.bias`, [4 * hidden], sum);
  let { h, c } = state;
  const outputs: string[] = [];
  for (const frame of frames) {
    const fromInput = graph.add('Add', [writer.matMul(frame, inputWeight), bias]);
    const gates = graph.add('Add', [fromInput, writer.matMul(h, hiddenWeight)]);
    const [i, f, g, o] = ['Sigmoid', 'Sigmoid', 'Tanh', 'Sigmoid'].map((activation, gate) =>
      graph.add(activation, [slice(graph, gates, -1, gate * hidden, (gate + 1) * hidden)]),
    );
    c = graph.add('Add', [graph.add('Mul', [f, c]), graph.add('Mul', [i, g])]);
    h = graph.add('Mul', [o, graph.add('Tanh', [c])]);
    h = projection ? writer.matMul(h, projection) : h;
    outputs.push(graph.add('Unsqueeze', [h, graph.ints(0)]));
  }
  return { outputs, state: { h, c } };
}

/** The states of all layers as the graph takes them in and gives them out. */
interface States {
  /** What a layer starts from. */
  take(layer: number): State;
  give(states: readonly State[]): void;
}

function joinedStates(
  graph: GraphWriter,
  { numEncoderLayers, dModel, rnnHiddenSize }: Model['sizes']['encoder'],
): States {
  const kinds = [
    { name: 'state0', part: 'h', width: dModel },
    { name: 'state1', part: 'c', width: rnnHiddenSize },
  ] as const;
  const [h, c] = kinds.map(({ name, width }) => graph.input(name, [numEncoderLayers, 'N', width]));
  const take = (states: string, layer: number) =>
    graph.add('Squeeze', [slice(graph, states, 0, layer, layer + 1), graph.ints(0)]);
  return {
    take: (layer) => ({ h: take(h, layer), c: take(c, layer) }),
    give(states) {
      for (const { name, part, width } of kinds) {
        const parts = states.map((state) => graph.add('Unsqueeze', [state[part], graph.ints(0)]));
        const output = graph.output(`new_${name}`, [numEncoderLayers, 'N', width]);
        graph.add('Concat', parts, { axis: 0 }, [output]);
      }
    },
  };
}

function statesPerLayer(graph: GraphWriter, { dModel, rnnHiddenSize }: Model['sizes']['encoder']): States {
  const kinds = [
    { part: 'h', width: dModel },
    { part: 'c', width: rnnHiddenSize },
  ] as const;
  return {
    take(layer) {
      const [h, c] = kinds.map(({ part, width }) =>
        graph.add('Squeeze', [graph.input(`${part}${layer}`, [1, 1, width]), graph.ints(0)]),
      );
      return { h, c };
    },
    give(states) {
      for (const [layer, state] of states.entries()) {
        for (const { part, width } of kinds) {
          const output = graph.output(`next_${part}${layer}`, [1, 1, width]);
          graph.add('Unsqueeze', [state[part], graph.ints(0)], {}, [output]);
        }
      }
    },
  };
}

/**
 * Writes the encoder: from `x` (N, 4 frames + 5, num_features) and the states to `encoder_out`, (N, frames, d_model) or
 * with the projection (N, frames, joiner_dim), and the next states, which are called as those before with `new_` in
 * front, or `next_` where each layer has its own.
 *
 * @throws RillError `bad-model` for weights of more than 2 GB or that are not finite.
 */
export async function writeEncoder(
  model: Model,
  { frames, states: form, withProjection, dtype, metadata }: EncoderForm,
): Promise<Uint8Array<ArrayBuffer>> {
  const { encoder: sizes, transducer } = model.sizes;
  const graph = new GraphWriter('encoder', metadata);
  const writer = new EncoderWriter(graph, model, dtype);
  const batch = form === 'joined' ? 'N' : 1;
  const features = graph.input('x', [batch, SUBSAMPLING_FACTOR * frames + CONTEXT_FRAMES, sizes.numFeatures]);
  // sherpa-onnx tells outputs by their order: this one comes before the states.
  const width = (withProjection ? transducer?.joinerDim : undefined) ?? sizes.dModel;
  const output = graph.output('encoder_out', [batch, frames, width]);
  let x = await embed(writer, features, frames);
  const states = form === 'joined' ? joinedStates(graph, sizes) : statesPerLayer(graph, sizes);
  const next: State[] = [];
  for (let l = 0; l < sizes.numEncoderLayers; l++) {
    const layer = `encoder.encoder.layers.${l}`;
    const heard = await lstm(writer, `${layer}.lstm`, unstack(graph, x, frames), sizes, states.take(l));
    next.push(heard.state);
    x = graph.add('Add', [graph.add('Concat', heard.outputs, { axis: 0 }), x]);
    const wide = writer.doubleSwish(await writer.linear(x, `${layer}.feed_forward.0`));
    const forward = await writer.linear(wide, `${layer}.feed_forward.4`);
    x = await writer.basicNorm(graph.add('Add', [x, forward]), `${layer}.norm_final.eps`);
  }
  states.give(next);
  x = withProjection ? await writer.linear(x, 'joiner.encoder_proj') : x;
  graph.add('Transpose', [x], { perm: [1, 0, 2] }, [output]);
  return graph.finish();
}
