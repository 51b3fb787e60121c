import { describe, expect, it } from 'vitest';
import { blobSource, bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTensors, openTogether } from '../../src/checkpoint/open.ts';
import { message, onnxConstant, onnxExternal, onnxModel, onnxNode, onnxTensor } from '../support/checkpoints.ts';
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

const bytesOf = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

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

  it('takes weights that the graph quantizes itself, or scales before it multiplies', async () => {
    const weight = onnxTensor('w', [3, 2], FLOAT, Float32Array.of(1, 2, 3, 4, 5, 6));
    const itself = [
      ...JOINER,
      onnxNode('DynamicQuantizeLinear', ['w'], 'w_quantized'),
      onnxNode('MatMulInteger', ['q', 'w_quantized', 'q_zero_point', 'w_zero_point'], 'product'),
    ];
    const first = await open(itself, [weight]);
    expect([...(await first.read('joiner.output_linear.weight'))]).toEqual([1, 3, 5, 2, 4, 6]);
    const scaled = [
      ...JOINER,
      onnxNode('DequantizeLinear', ['integers', 'scale', 'zero'], 'w'),
      onnxNode('MatMul', ['in2', 'w'], 'product'),
    ];
    const second = await open(scaled, [
      onnxTensor('integers', [3, 2], UINT8, Uint8Array.of(1, 2, 3, 4, 5, 6)),
      onnxTensor('scale', [2], FLOAT, Float32Array.of(2, 10)),
      onnxTensor('zero', [2], UINT8, Uint8Array.of(0, 1)),
    ]);
    expect([...(await second.read('joiner.output_linear.weight'))]).toEqual([2, 6, 10, 10, 30, 50]);
  });

  it.each([
    { op: 'MatMulIntegerToFloat', inputs: ['q', 'w', 'q_scale', 'scale', 'q_zero', 'zero', 'bias'] },
    { op: 'DynamicQuantizeMatMul', inputs: ['in2', 'w', 'scale', 'zero', 'bias'] },
  ])('takes 8-bit weights as onnxruntime joins them: $op', async ({ op, inputs }) => {
    const { read } = await open(
      [...JOINER, onnxNode(op, inputs, 'logit')],
      [
        onnxTensor('w', [3, 2], INT8, Int8Array.of(1, 2, 3, 4, 5, 6)),
        onnxTensor('scale', [2], FLOAT, Float32Array.of(2, 10)),
        onnxTensor('zero', [2], INT8, Int8Array.of(0, 1)),
        bias,
      ],
    );
    expect([...(await read('joiner.output_linear.weight'))]).toEqual([2, 6, 10, 10, 30, 50]);
    expect([...(await read('joiner.output_linear.bias'))]).toEqual([7, 8]);
  });

  it('refuses integers without their scale, and scales that do not fit', async () => {
    const integers = onnxTensor('w_quantized', [3, 2], INT8, new Int8Array(6));
    const unscaled = [...JOINER, onnxNode('MatMulInteger', ['q', 'w_quantized'], 'product')];
    expect(await failure('bad-checkpoint', () => open(unscaled, [integers]))).toContain('without the scale');
    const three = onnxTensor('w_scale', [3], FLOAT, new Float32Array(3));
    const { read } = await open(quantized, [integers, three]);
    expect(await failure('bad-checkpoint', () => read('joiner.output_linear.weight'))).toContain('3 scales');
  });

  it.each([
    {
      form: 'value_float',
      attribute: [
        [1, 'value_float'],
        [2, Float32Array.of(0.25)],
      ],
      expected: [0.25],
    },
    // A zero is not written.
    { form: 'value_float of 0', attribute: [[1, 'value_float']], expected: [0] },
    {
      form: 'value_floats',
      attribute: [
        [1, 'value_floats'],
        [7, bytesOf(1.5)],
      ],
      expected: [1.5],
    },
    {
      form: 'value',
      attribute: [
        [1, 'value'],
        [5, onnxTensor('', [1], FLOAT, Float32Array.of(3))],
      ],
      expected: [3],
    },
  ] as const)('takes constants as $form', async ({ attribute, expected }) => {
    const constant = onnxConstant('bias', ...attribute);
    const nodes = [
      ...JOINER,
      constant,
      onnxNode('Unsqueeze', ['bias'], 'axes'),
      onnxNode('Gemm', ['in2', 'w', 'bias'], 'logit'),
    ];
    const { read } = await open(nodes, [onnxTensor('w', [2, 1], FLOAT, Float32Array.of(1, 2))]);
    expect([...(await read('joiner.output_linear.bias'))]).toEqual(expected);
  });

  it('passes over constants of whole numbers and texts', async () => {
    const nodes = [
      onnxConstant('one', [1, 'value_int'], [3, 7]),
      onnxConstant('many', [1, 'value_ints'], [8, 1], [8, 2]),
      onnxConstant('text', [1, 'value_string'], [4, 'text']),
      ...JOINER,
      onnxNode('MatMul', ['in2', 'w'], 'product'),
    ];
    const { tensors } = await open(nodes, [onnxTensor('w', [2, 1], FLOAT, Float32Array.of(1, 2))]);
    expect([...tensors.keys()]).toEqual(['joiner.output_linear.weight']);
  });

  describe('with its weights in another file', () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product'), onnxNode('Add', ['product', 'b'], 'logit')];
    const values = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer);
    /** Offsets need not be aligned. */
    const data = Uint8Array.of(...values.subarray(24), 9, ...values.subarray(0, 24));
    const model = (w: Record<string, string>, b: Record<string, string>) => {
      const initializers = [onnxExternal('w', [3, 2], FLOAT, w), onnxExternal('b', [2], FLOAT, b)];
      return bytesSource(onnxModel(nodes, initializers), 'joiner.onnx');
    };
    const whole = model({ location: 'joiner.onnx.data', offset: '9', length: '24' }, { location: 'joiner.onnx.data' });

    it.each([
      { order: 'behind it', files: [whole, bytesSource(data, 'joiner.onnx.data')] },
      { order: 'before it, as dropped files', files: [new File([data], 'joiner.onnx.data'), whole] },
    ])('takes them from the file that it names, $order', async ({ files }) => {
      const sources = files.map((file) => (file instanceof File ? blobSource(file) : file));
      const { tensors, read } = await openTogether(sources);
      expect([...tensors.keys()]).toEqual(['joiner.output_linear.weight', 'joiner.output_linear.bias']);
      expect([...(await read('joiner.output_linear.weight'))]).toEqual([1, 3, 5, 2, 4, 6]);
      expect([...(await read('joiner.output_linear.bias'))]).toEqual([7, 8]);
    });

    it('takes each from a file of its own, in a folder below', async () => {
      const parts = [bytesSource(values.subarray(0, 24), 'w'), bytesSource(values.subarray(24), 'b')];
      const { read } = await openTogether([model({ location: 'weights/w' }, { location: 'b' }), ...parts]);
      expect([...(await read('joiner.output_linear.weight'))]).toEqual([1, 3, 5, 2, 4, 6]);
      expect([...(await read('joiner.output_linear.bias'))]).toEqual([7, 8]);
    });

    it.each([
      {
        name: 'a file that is not there',
        source: whole,
        file: 'other.data',
        says: 'joiner.onnx without "joiner.onnx.data"',
      },
      {
        name: 'elements beyond the end of the file',
        source: model({ location: 'd', offset: '10', length: '24' }, { location: 'd' }),
        file: 'd',
        says: '"w" at bytes 10 to 34 of a file of 33',
      },
      {
        name: 'an offset that is no number',
        source: model({ location: 'd', offset: 'x' }, { location: 'd' }),
        file: 'd',
        says: 'NaN',
      },
      {
        name: 'a negative offset',
        source: model({ location: 'd', offset: '-4' }, { location: 'd' }),
        file: 'd',
        says: 'bytes -4',
      },
    ])('refuses $name', async ({ source, file, says }) => {
      expect(await failure('bad-checkpoint', () => openTogether([source, bytesSource(data, file)]))).toContain(says);
    });

    it('refuses to read a file over and over', async () => {
      const size = 1000;
      const many = Array.from({ length: 100 }, (_, i) =>
        onnxExternal(`w${i}`, [size - i], UINT8, { location: 'd', offset: String(i) }),
      );
      const source = bytesSource(onnxModel(nodes, many), 'joiner.onnx');
      const file = bytesSource(new Uint8Array(size), 'd');
      expect(await failure('bad-checkpoint', () => openTogether([source, file]))).toContain('do not overlap');
    });
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

  it('refuses more nodes than networks have, and more bytes than protobuf', async () => {
    const nodes = [...JOINER, onnxNode('MatMul', ['in2', 'w'], 'product')];
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
