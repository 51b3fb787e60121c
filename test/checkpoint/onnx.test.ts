import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTensors } from '../../src/checkpoint/open.ts';
import { message, onnxModel, onnxNode, onnxTensor } from '../support/checkpoints.ts';
import { failure } from '../support/failure.ts';

const FLOAT = 1;
const UINT8 = 2;
const INT8 = 3;

const JOINER = ['Add', 'Tanh'].map((op, i) => onnxNode(op, [`in${i}`], `in${i + 1}`));
const bias = onnxTensor('bias', [2], FLOAT, Float32Array.of(7, 8));

/** The nodes that onnxruntime's dynamic quantization puts in place of a MatMul. */
const quantized = [
  ...JOINER,
  onnxNode('DynamicQuantizeLinear', ['in2'], 'q'),
  onnxNode('MatMulInteger', ['q', 'w_quantized', 'q_zero_point', 'w_zero_point'], 'product'),
  onnxNode('Mul', ['q_scale', 'w_scale'], 'scales'),
  onnxNode('Mul', ['product', 'scales'], 'scaled'),
  onnxNode('Add', ['bias', 'scaled'], 'logit'),
];

const open = (nodes: Uint8Array[], initializers: Uint8Array[], metadata = {}) =>
  openTensors(bytesSource(onnxModel(nodes, initializers, metadata)));

describe('ONNX', () => {
  it.each([
    {
      type: 'int8',
      dataType: INT8,
      values: Int8Array.of(-128, 127, 0, 1, 2, 3),
      zeroPoints: Int8Array.of(1),
      scales: [0.5],
    },
    {
      type: 'uint8',
      dataType: UINT8,
      values: Uint8Array.of(0, 255, 128, 1, 2, 3),
      zeroPoints: Uint8Array.of(128),
      scales: [0.5],
    },
    {
      type: 'int8, per output',
      dataType: INT8,
      values: Int8Array.of(1, 2, 3, 4, 5, 6),
      zeroPoints: Int8Array.of(0, 1),
      scales: [2, 10],
    },
  ])('takes dynamically quantized weights: $type', async ({ dataType, values, zeroPoints, scales }) => {
    const { tensors, read } = await open(quantized, [
      onnxTensor('w_quantized', [3, 2], dataType, values),
      onnxTensor('w_zero_point', zeroPoints.length > 1 ? [2] : [], dataType, zeroPoints),
      onnxTensor('w_scale', scales.length > 1 ? [2] : [], FLOAT, Float32Array.from(scales)),
      bias,
    ]);
    expect(tensors.get('joiner.output_linear.weight')?.shape).toEqual([2, 3]);
    const expected = [0, 1].flatMap((output) =>
      [0, 1, 2].map((input) => {
        const zero = zeroPoints[zeroPoints.length > 1 ? output : 0];
        return (values[input * 2 + output] - zero) * scales[scales.length > 1 ? output : 0];
      }),
    );
    expect([...(await read('joiner.output_linear.weight'))]).toEqual(expected);
    expect([...(await read('joiner.output_linear.bias'))]).toEqual([7, 8]);
  });

  it('refuses other model families by name, and graphs it does not know', async () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product')];
    const weight = onnxTensor('w', [3, 2], FLOAT, new Float32Array(6));
    expect(await failure('bad-checkpoint', () => open(nodes, [weight], { model_type: 'zipformer2' }))).toContain(
      '"zipformer2"',
    );
    expect(await failure('bad-checkpoint', () => open(JOINER, []))).toContain('a joiner with 0 matrices');
    expect(await failure('bad-checkpoint', () => open([onnxNode('ReduceMean', ['x'], 'y')], [weight]))).toContain(
      'an encoder that begins',
    );
  });

  it('reads half-precision numbers, which are written as bit patterns', async () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product')];
    const half = message([1, 1], [1, 2], [2, 10], [5, 0x3c00], [5, 0x4000], [8, 'w']);
    const { read } = await open(nodes, [half]);
    expect([...(await read('joiner.output_linear.weight'))]).toEqual([1, 2]);
  });

  it('hashes a weight that many nodes use only once', async () => {
    const weight = onnxTensor('w', [256, 256], FLOAT, new Float32Array(65536));
    const many = Array.from({ length: 20_000 }, (_, i) => onnxNode('MatMul', ['in2', 'w'], `product${i}`));
    const { tensors } = await open([...JOINER, ...many], [weight]);
    expect(tensors.size).toBe(1);
  });

  it.each(['bytes', 'numbers'])('tells weights apart that were rounded to bfloat16, as %s', async (form) => {
    const [rows, columns] = [512, 256];
    const weight = (name: string, seed: number) => {
      const values = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * seed));
      new Uint32Array(values.buffer).forEach((word, i, words) => (words[i] = word & 0xffff0000));
      return form === 'bytes'
        ? onnxTensor(name, [rows, columns], FLOAT, values)
        : message([1, rows], [1, columns], [2, FLOAT], [4, new Uint8Array(values.buffer)], [8, name]);
    };
    const nodes = ['a', 'b', 'again'].map((name) => onnxNode('MatMul', ['in2', name], `${name} product`));
    // The third is the first one, written once more.
    const refused = failure('bad-checkpoint', () =>
      open([...JOINER, ...nodes], [weight('a', 1), weight('b', 2), weight('again', 1)]),
    );
    expect(await refused).toContain('a joiner with 2 matrices');
  });

  it('refuses weights in another file, more nodes than networks have, and more bytes than protobuf', async () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product')];
    const external = message([1, 3], [1, 2], [2, FLOAT], [8, 'w'], [14, 1]);
    expect(await failure('bad-checkpoint', () => open(nodes, [external]))).toContain('"w", whose data lie in another');
    // Two bytes each, without any field.
    const graph = Uint8Array.from({ length: 2 * 200_001 }, (_, i) => (i % 2 === 0 ? 0x0a : 0));
    expect(await failure('bad-checkpoint', () => openTensors(bytesSource(message([1, 8], [7, graph]))))).toContain(
      'more than 200000 nodes',
    );
    const start = onnxModel(nodes, []);
    const large = {
      size: 2 ** 31,
      read: async (offset: number, length: number) => start.slice(offset, offset + length),
    };
    expect(await failure('bad-checkpoint', () => openTensors(large))).toContain('2147483648 bytes');
  });

  it('refuses weights whose size is not what they hold', async () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product')];
    const short = onnxTensor('w', [3, 2], FLOAT, new Float32Array(5));
    await failure('bad-checkpoint', async () => (await open(nodes, [short])).read('joiner.output_linear.weight'));
    const huge = onnxTensor('w', [1_000_000, 2_000], FLOAT, new Float32Array(5));
    await failure('bad-checkpoint', () => open(nodes, [huge]));
  });
});
