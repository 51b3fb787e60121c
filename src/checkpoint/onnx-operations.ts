/** The matrices and convolutions of a network's ONNX graph, in the order in which sound flows through them. */
import { elementCount } from '../model/tensors.ts';
import { badCheckpoint } from './bad-checkpoint.ts';
import type { OnnxNode } from './onnx-graph.ts';
import {
  dequantized,
  isFloat,
  isFloats,
  reorderedGates,
  reshaped,
  sliced,
  transposed,
  type Weight,
} from './onnx-weights.ts';

/** A matrix or convolution as PyTorch keeps it, with the bias that is added to what it gives. */
export interface Operation {
  weight: Weight;
  bias?: Weight;
  /** Whether it takes the state of an LSTM: no BasicNorm stands before it. */
  isRecurrent: boolean;
}

/** Operations that one BasicNorm ends, and its eps as a logarithm. */
export interface Run {
  operations: Operation[];
  eps?: number;
}

/** @internal A graph of another network. */
export function foreign(got: string): Error {
  return badCheckpoint(
    got,
    'the encoder, decoder or joiner that icefall’s LSTM recipe exports (model_type lstm)',
    'Other model families of sherpa-onnx are not supported.',
  );
}

/** What a node multiplies with: one operation, or the two of an LSTM. */
type Product = Pick<Operation, 'weight' | 'bias'> & Partial<Operation>;

/** Nodes between a product and its scale or bias: a cast, the scaling, the sum of an LSTM's two products. */
const MAX_STEPS = 4;
/** Nodes that take one value and are looked at; a bias is added before a product goes anywhere else. */
const MAX_CONSUMERS = 8;

/** How many BasicNorms and operations stand before a value, on the longest way. */
interface Place {
  norms: number;
  depth: number;
}

const START: Place = { norms: 0, depth: 0 };

/** A BasicNorm is told by the mean of the squares in it. */
const isNorm = ({ op }: OnnxNode) => op === 'ReduceMean';

/** A graph as what flows where: quantizers and optimizers leave its nodes in any order that the flow allows. */
class Flow {
  readonly #nodes: readonly OnnxNode[];
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #consumers = new Map<string, OnnxNode[]>();
  readonly #producers = new Map<string, OnnxNode>();

  constructor(nodes: readonly OnnxNode[], weights: ReadonlyMap<string, Weight>) {
    this.#nodes = nodes;
    this.#weights = weights;
    for (const node of nodes) {
      for (const input of node.inputs) {
        const known = this.#consumers.get(input);
        if (known) {
          known.push(node);
        } else {
          this.#consumers.set(input, [node]);
        }
      }
      node.outputs.forEach((output) => this.#producers.set(output, node));
    }
  }

  /** Where each product stands, by its node. */
  places(products: ReadonlyMap<OnnxNode, readonly Product[]>): ReadonlyMap<OnnxNode, Place> {
    const places = new Map<OnnxNode, Place>();
    const before = new Map<string, Place>();
    for (const node of this.#nodes) {
      let { norms, depth } = START;
      for (const input of node.inputs) {
        const place = before.get(input) ?? START;
        norms = Math.max(norms, place.norms);
        depth = Math.max(depth, place.depth);
      }
      places.set(node, { norms, depth });
      const after = { norms: norms + (isNorm(node) ? 1 : 0), depth: depth + (products.has(node) ? 1 : 0) };
      node.outputs.forEach((output) => before.set(output, after));
    }
    return places;
  }

  /** How many BasicNorms stand at or behind each node, on the longest way. */
  normsBehind(): ReadonlyMap<OnnxNode, number> {
    const counts = new Map<OnnxNode, number>();
    const behind = new Map<string, number>();
    for (const node of [...this.#nodes].reverse()) {
      const most = node.outputs.reduce((count, output) => Math.max(count, behind.get(output) ?? 0), 0);
      const count = most + (isNorm(node) ? 1 : 0);
      counts.set(node, count);
      node.inputs.forEach((input) => behind.set(input, Math.max(count, behind.get(input) ?? 0)));
    }
    return counts;
  }

  /** What a node multiplies with. */
  products(node: OnnxNode): readonly Product[] {
    const inputs = node.inputs.map((input) => this.#weights.get(input));
    const [, weight, third, fourth] = inputs;
    switch (node.op) {
      case 'Conv':
        return isFloats(weight, 4) || isFloats(weight, 3) ? [{ weight, bias: third }] : [];
      case 'ConvInteger':
        return weight ? [{ weight: this.#scaled(node, weight, 0, fourth) }] : [];
      case 'Gemm':
        return isFloats(weight, 2)
          ? [{ weight: node.ints.get('transB') === 1 ? weight : transposed(weight), bias: third }]
          : [];
      case 'MatMul':
        return isFloats(weight, 2) ? [{ weight: transposed(weight) }] : [];
      case 'MatMulInteger':
        return weight?.shape.length === 2 ? [{ weight: transposed(this.#scaled(node, weight, 1, fourth)) }] : [];
      // Two that onnxruntime's optimizer joins an integer product and its scaling into.
      case 'MatMulIntegerToFloat':
        return joinedProduct(weight, fourth, inputs[5], inputs[6]);
      case 'DynamicQuantizeMatMul':
        return joinedProduct(weight, third, fourth, inputs[4]);
      case 'LSTM':
      case 'DynamicQuantizeLSTM':
        return lstmProducts(inputs);
      default:
        return [];
    }
  }

  /** The 8-bit weight of an integer product with its zero point and scale, one for the tensor or one per output. */
  #scaled(node: OnnxNode, weight: Weight, axis: number, zeroPoint: Weight | undefined): Weight {
    if (isFloat(weight)) {
      // The graph quantizes it itself, each time it runs.
      return weight;
    }
    const scale = this.#scaleBehind(node.outputs[0]);
    if (!scale) {
      throw foreign(`a ${node.op} without the scale of its weight`);
    }
    return dequantized(weight, axis, scale, zeroPoint);
  }

  /** The constant that an integer product is multiplied with: by itself, or with the scale of what it takes. */
  #scaleBehind(product: string): Weight | undefined {
    let value = product;
    for (let step = 0; step < MAX_STEPS; step++) {
      const [next] = this.#consumers.get(value) ?? [];
      if (next === undefined) {
        return undefined;
      }
      if (next.op === 'Mul') {
        const factor = next.inputs.find((input) => input !== value) ?? '';
        const made = this.#producers.get(factor);
        const factors = made?.op === 'Mul' ? made.inputs : [];
        return [factor, ...factors].map((name) => this.#weights.get(name)).find((each) => each !== undefined);
      }
      value = next.outputs[0];
    }
    return undefined;
  }

  /** The bias that is added to a product of so many outputs, perhaps behind its scaling or its sum with another one. */
  biasBehind({ outputs: [product] }: OnnxNode, { weight, isRecurrent }: Operation): Weight | undefined {
    let value = product;
    for (let step = 0; step < MAX_STEPS; step++) {
      const consumers = this.#consumers.get(value)?.slice(0, MAX_CONSUMERS);
      const next = consumers?.find(({ op }) => op === 'Add' || op === 'Cast' || op === 'Mul');
      if (next === undefined) {
        return undefined;
      }
      if (next.op === 'Add') {
        const bias = this.#constantOf(next);
        if (bias) {
          return isFloats(bias, 1) && bias.shape[0] === weight.shape[0] ? bias : undefined;
        }
        if (isRecurrent) {
          // A bias of the sum belongs to the other product.
          return undefined;
        }
      }
      value = next.outputs[0];
    }
    return undefined;
  }

  /** The eps of a BasicNorm: what is added to its mean. */
  epsOf({ outputs: [mean] }: OnnxNode): number | undefined {
    const [next] = this.#consumers.get(mean) ?? [];
    const add = next?.op === 'Cast' ? this.#consumers.get(next.outputs[0])?.[0] : next;
    const eps = add?.op === 'Add' ? this.#constantOf(add) : undefined;
    return eps && elementCount(eps.shape) === 1 ? eps.read()[0] : undefined;
  }

  #constantOf({ inputs }: OnnxNode): Weight | undefined {
    return inputs.map((input) => this.#weights.get(input)).find((each) => each !== undefined);
  }
}

/** A product that brings the scale of its 8-bit weight. */
function joinedProduct(weight?: Weight, scale?: Weight, zeroPoint?: Weight, bias?: Weight): Product[] {
  return weight?.shape.length === 2 && scale && !isFloat(weight)
    ? [{ weight: transposed(dequantized(weight, 1, scale, zeroPoint)), bias }]
    : [];
}

/** An LSTM's two matrices with their biases; quantized, its matrices lie the other way round and bring scales. */
function lstmProducts(inputs: readonly (Weight | undefined)[]): Product[] {
  const [, ih, hh, biases, , , , , ihScale, ihZero, hhScale, hhZero] = inputs;
  const matrix = (weight?: Weight, scale?: Weight, zeroPoint?: Weight): Weight => {
    if (weight?.shape.length !== 3 || weight.shape[0] !== 1 || isFloat(weight) === (scale !== undefined)) {
      throw foreign('an LSTM of two directions, or without its weights');
    }
    const flat = reshaped(weight, weight.shape.slice(1));
    return reorderedGates(scale ? transposed(dequantized(flat, 1, scale, zeroPoint)) : flat);
  };
  const bias = (part: 0 | 1): Weight | undefined => {
    const gates = biases && elementCount(biases.shape) / 2;
    return gates ? reorderedGates(sliced(biases, part * gates, gates)) : undefined;
  };
  return [
    { weight: matrix(ih, ihScale, ihZero), bias: bias(0), isRecurrent: false },
    { weight: matrix(hh, hhScale, hhZero), bias: bias(1), isRecurrent: true },
  ];
}

/**
 * The operations of a graph in their order, in runs that a BasicNorm ends, with its eps. Where the graph is unrolled
 * over frames, a weight comes up again for each: only its first use counts.
 */
export function findRuns(nodes: readonly OnnxNode[], weights: ReadonlyMap<string, Weight>): Run[] {
  const flow = new Flow(nodes, weights);
  const products = new Map(
    nodes.flatMap((node) => {
      const found = flow.products(node);
      return found.length > 0 ? [[node, found] as const] : [];
    }),
  );
  const places = flow.places(products);
  const normsBehind = flow.normsBehind();
  const last = nodes.reduce((most, node) => Math.max(most, normsBehind.get(node) ?? 0), 0);
  const runs = Array.from({ length: last + 1 }, (): Run & { places: Map<Operation, number> } => ({
    operations: [],
    places: new Map(),
  }));
  const runOf = (node: OnnxNode) => runs[last - (normsBehind.get(node) ?? 0)];
  const seen = new Set<string>();
  for (const [node, found] of products) {
    const { norms, depth } = places.get(node) ?? START;
    for (const product of found) {
      // Equal content counts as the same weight: some exporters write a constant once per frame.
      const key = `${last - (normsBehind.get(node) ?? 0)} ${product.weight.key()}`;
      if (seen.has(key)) {
        continue;
      }
      seen.add(key);
      const operation: Operation = { isRecurrent: norms === 0, ...product };
      operation.bias ??= flow.biasBehind(node, operation);
      runOf(node).operations.push(operation);
      runOf(node).places.set(operation, depth);
    }
  }
  for (const node of nodes.filter(isNorm)) {
    const eps = flow.epsOf(node);
    if (eps !== undefined) {
      runOf(node).eps ??= Math.log(eps);
    }
  }
  return runs
    .map(({ operations, places: depths, eps }) => ({
      operations: operations.sort((a, b) => (depths.get(a) ?? 0) - (depths.get(b) ?? 0)),
      eps,
    }))
    .filter(({ operations }) => operations.length > 0);
}
