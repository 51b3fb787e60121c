import { describe, expect, it } from 'vitest';
import { blobSource, bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTensors } from '../../src/checkpoint/open.ts';
import { Opaque, unpickle } from '../../src/checkpoint/pickle.ts';
import { op, oneTensor, torchZip } from '../support/checkpoints.ts';
import { failure } from '../support/failure.ts';
import { readFixture } from '../support/fixtures.ts';
import { bitFlips, expectRefused, expectSurvived, hostileLengths, truncations } from '../support/fuzz.ts';
import { alsoInAll } from '../support/scope.ts';

const storage = Float32Array.from({ length: 12 }, (_, i) => i);

const floatBytes = (value: number) => Buffer.from(Float32Array.of(value).buffer);

describe('a checkpoint', () => {
  it.each([
    { name: 'an offset', offset: 4, shape: [2, 3], strides: [3, 1], expected: [4, 5, 6, 7, 8, 9] },
    { name: 'a transpose', offset: 0, shape: [3, 2], strides: [1, 3], expected: [0, 3, 1, 4, 2, 5] },
    { name: 'gaps between rows', offset: 1, shape: [2, 2], strides: [6, 1], expected: [1, 2, 7, 8] },
    { name: 'three axes', offset: 0, shape: [2, 2, 2], strides: [1, 6, 2], expected: [0, 2, 6, 8, 1, 3, 7, 9] },
    { name: 'a repeated element', offset: 3, shape: [4], strides: [0], expected: [3, 3, 3, 3] },
    { name: 'a scalar', offset: 11, shape: [], strides: [], expected: [11] },
    { name: 'an empty axis', offset: 0, shape: [0, 5], strides: [5, 1], expected: [] },
  ])('reads a view with $name', async ({ offset, shape, strides, expected }) => {
    const source = await torchZip(oneTensor('w', op.tensor('7', 12, offset, shape, strides)), { 7: storage });
    const { tensors, read } = await openTensors(source);
    expect(tensors.get('w')).toMatchObject({ dtype: 'F32', shape });
    expect([...(await read('w'))]).toEqual(expected);
  });

  it('reads big-endian files', async () => {
    const swapped = new Float32Array(storage);
    const bytes = new Uint8Array(swapped.buffer);
    for (let i = 0; i < bytes.length; i += 4) {
      bytes.subarray(i, i + 4).reverse();
    }
    const source = await torchZip(
      oneTensor('w', op.tensor('0', 12, 0, [12], [1])),
      { 0: swapped },
      { byteorder: 'big' },
    );
    expect([...(await (await openTensors(source)).read('w'))]).toEqual([...storage]);
  });

  it('picks the model, or its running average', async () => {
    const dict = (key: string) => [
      ...op.emptyDict,
      ...op.string('w'),
      ...op.tensor(key, 12, 0, [1], [1]),
      ...op.setItem,
    ];
    const both = [...op.string('model_avg'), ...dict('1'), ...op.string('model'), ...dict('0')];
    const pickle = [...op.proto, ...op.emptyDict, ...op.mark, ...both, ...op.setItems, ...op.stop];
    const source = await torchZip(pickle, { 0: storage, 1: storage.map((value) => value + 100) });
    expect([...(await (await openTensors(source)).read('w'))]).toEqual([0]);
    expect([...(await (await openTensors(source, { averaged: true })).read('w'))]).toEqual([100]);
  });

  it('reads from a Blob as from bytes', async () => {
    const bytes = await readFixture('golden/noproj/checkpoint.pt');
    const [a, b] = await Promise.all(
      [blobSource(new Blob([bytes])), bytesSource(bytes)].map((each) => openTensors(each)),
    );
    const name = 'encoder.encoder_embed.out.weight';
    expect(await a.read(name)).toEqual(await b.read(name));
  });

  it('executes nothing, and names what a pickle asked for', async () => {
    const attacks = [
      ['os', 'system'],
      ['posix', 'system'],
      ['builtins', 'eval'],
      ['builtins', 'getattr'],
      ['constructor', 'constructor'],
      ['__proto__', 'toString'],
    ];
    for (const [module, name] of attacks) {
      const pickle = [
        ...op.proto,
        ...op.global(module, name),
        ...op.mark,
        ...op.string('touch /tmp/owned'),
        ...op.tuple,
        ...op.reduce,
        ...op.stop,
      ];
      const message = await failure('bad-checkpoint', async () => openTensors(await torchZip(pickle)));
      expect(message).toContain(`"${module}.${name}"`);
      expect(message).toContain('it was not executed');
    }
  });

  it('does not let keys reach an object’s prototype', async () => {
    const pickle = [
      ...op.proto,
      ...op.emptyDict,
      ...op.string('__proto__'),
      ...op.tensor('0', 1, 0, [1], [1]),
      ...op.setItem,
      ...op.stop,
    ];
    const { tensors } = await openTensors(await torchZip(pickle, { 0: Float32Array.of(1) }));
    expect([...tensors.keys()]).toEqual(['__proto__']);
    expect(({} as { shape?: unknown }).shape).toBeUndefined();
  });

  it.each([
    { name: 'a view beyond its storage', tensor: op.tensor('0', 12, 8, [5], [1]), says: 'in a storage of 12 elements' },
    {
      name: 'a view that a stride of 0 makes huge',
      tensor: op.tensor('0', 12, 0, [2_000_000_000], [0]),
      says: 'tensors of 2000000000 elements in a file of',
    },
    {
      name: 'more axes than any weight has',
      tensor: op.tensor('0', 12, 0, Array<number>(9).fill(1), Array<number>(9).fill(1)),
      says: 'not what PyTorch writes',
    },
    { name: 'a negative size', tensor: op.tensor('0', 12, 0, [-1], [1]), says: 'not what PyTorch writes' },
    {
      name: 'a storage that is not in the file',
      tensor: op.tensor('9', 12, 0, [12], [1]),
      says: 'without archive/data/9',
    },
    { name: 'a storage larger than its bytes', tensor: op.tensor('0', 4000, 0, [40], [1]), says: '16000 bytes' },
  ])('refuses $name', async ({ tensor, says }) => {
    const source = await torchZip(oneTensor('w', tensor), { 0: storage });
    const message = await failure('bad-checkpoint', async () => (await openTensors(source)).read('w'));
    expect(message).toContain(says);
  });

  it('refuses more elements than the file has bytes, however they share', async () => {
    const views = Array.from({ length: 100 }, (_, i) => [
      ...op.string(`w${i}`),
      ...op.tensor('0', 5000, 0, [5000], [1]),
    ]).flat();
    const pickle = [...op.proto, ...op.emptyDict, ...op.mark, ...views, ...op.setItems, ...op.stop];
    const source = await torchZip(pickle, { 0: new Float32Array(5000) });
    const { tensors, read } = await openTensors(source);
    const readAll = async () => {
      for (const name of tensors.keys()) {
        await read(name);
      }
    };
    expect(await failure('bad-checkpoint', readAll)).toMatch(/^got tensors of \d+ elements in a file of \d+ bytes/);
  });

  it('refuses a pickle that would unfold in memory', async () => {
    const bomb = new Array<number>(5 << 20).fill(0x7d);
    const message = await failure('bad-checkpoint', async () =>
      openTensors(await torchZip([...op.proto, ...op.stop, ...bomb])),
    );
    expect(message).toContain('data.pkl of');
  });

  it('reads legacy files of later pickle protocols', async () => {
    const legacy = await readFixture('golden/formats/legacy.pt');
    const [protocol, magic] = [2, 13];
    const framed = Buffer.concat([Uint8Array.of(0x80, 4, 0x95, magic, 0, 0, 0, 0, 0, 0, 0), legacy.subarray(protocol)]);
    const [actual, expected] = await Promise.all([framed, legacy].map((bytes) => openTensors(bytesSource(bytes))));
    const [[name]] = expected.tensors;
    expect([...actual.tensors.keys()]).toEqual([...expected.tensors.keys()]);
    expect(await actual.read(name)).toEqual(await expected.read(name));
  });

  it('reads of a legacy file what lies before storages of a type that is not known', async () => {
    const magic = (await readFixture('golden/formats/legacy.pt')).subarray(0, 15);
    const unknown = op.tensor('1', 1, 0, [1], [1]).map((byte, i, bytes) =>
      // torch.FloatStorage becomes torch.FloatStoragX
      Buffer.from(bytes.slice(i - 11, i + 1)).toString() === 'FloatStorage' ? 0x58 : byte,
    );
    const weights = [op.tensor('0', 1, 0, [1], [1]), unknown, op.tensor('2', 1, 0, [1], [1])];
    const entries = weights.flatMap((tensor, i) => [...op.string(`w${i}`), ...tensor]);
    const storages = [5, 6, 7].map((value) => Buffer.concat([Buffer.of(1, 0, 0, 0, 0, 0, 0, 0), floatBytes(value)]));
    const file = Buffer.concat([
      magic,
      Buffer.of(...op.proto, ...op.int(1001), ...op.stop),
      Buffer.of(...op.proto, ...op.emptyDict, ...op.stop),
      Buffer.of(...op.proto, ...op.emptyDict, ...op.mark, ...entries, ...op.setItems, ...op.stop),
      Buffer.of(...op.proto, ...op.mark, ...['0', '1', '2'].flatMap((key) => op.string(key)), 0x6c, ...op.stop),
      ...storages,
    ]);
    const { tensors, read } = await openTensors(bytesSource(file));
    expect([...tensors.keys()]).toEqual(['w0', 'w1', 'w2']);
    expect([...(await read('w0'))]).toEqual([5]);
    expect(await failure('bad-checkpoint', () => read('w1'))).toContain('"torch.FloatStoragX" (it was not executed)');
    expect(await failure('bad-checkpoint', () => read('w2'))).toContain('behind one of a type that is not known');
  });

  it('says when a legacy file’s pickles are larger than a state dict’s', async () => {
    const magic = (await readFixture('golden/formats/legacy.pt')).subarray(0, 15);
    const pickle = new Uint8Array(5 << 20).fill(0x30);
    pickle.set([...magic, ...op.proto, 0x58, 0xff, 0xff, 0x4f, 0]);
    expect(await failure('bad-checkpoint', () => openTensors(bytesSource(pickle)))).toContain('pickles that go on');
  });

  it.each([
    'values-zip.pt',
    // Its name has the 21 characters with which zip.js mistakes the second entry for the beginning of the directory.
    'values-zip-protocol-5.pt',
    'values-legacy.pt',
    'values-legacy-protocol-4.pt',
  ])('passes over what training scripts keep beside the weights: %s', async (name) => {
    const { tensors, read } = await openTensors(bytesSource(await readFixture(`checkpoints/${name}`)));
    expect([...tensors.keys()]).toEqual(['w', 'with_attribute', 'expanded', 'quantized', 'extra_state']);
    expect([...(await read('w'))]).toEqual([1, 2, 3]);
    expect([...(await read('with_attribute'))]).toEqual([4, 5]);
    expect([...(await read('expanded'))]).toEqual([7, 7, 7, 8, 8, 8]);
    expect(await failure('bad-checkpoint', () => read('quantized'))).toContain(
      'quantized, a value of "torch._utils._rebuild_qtensor" (it was not executed)',
    );
  });

  it.each([
    { name: 'by functions of PyTorch', global: ['torch._utils', '_rebuild_device_tensor_from_numpy'] },
    { name: 'by what could do harm', global: ['os', 'system'] },
    { name: 'by the class of a script', global: ['__main__', 'MyTensor'] },
  ] as const)(
    'passes over tensors that are made $name, and items put into them',
    async ({ global: [module, name] }) => {
      const made = [...op.global(module, name), ...op.emptyTuple, ...op.reduce];
      const filled = [...made, ...op.string('key'), ...op.string('value'), ...op.setItem, ...op.string('item'), 0x61];
      const pickle = [
        ...op.proto,
        ...op.emptyDict,
        ...op.mark,
        ...op.string('w'),
        ...op.tensor('0', 12, 0, [12], [1]),
        ...op.string('other'),
        ...filled,
        ...op.setItems,
        ...op.stop,
      ];
      const { tensors, read } = await openTensors(await torchZip(pickle, { 0: storage }));
      expect([...(await read('w'))]).toEqual([...storage]);
      expect(tensors.get('other')?.unreadable).toContain(`"${module}.${name}" (it was not executed)`);
    },
  );

  it('looks for the tensors in dicts that are named otherwise', async () => {
    const weight = (name: string, key: string) => [
      ...op.emptyDict,
      ...op.string(name),
      ...op.tensor(key, 12, 0, [1], [1]),
      ...op.setItem,
    ];
    const pickle = [
      ...op.proto,
      ...op.emptyDict,
      ...op.mark,
      ...op.string('model'),
      ...weight('criterion.weight', '0'),
      ...op.string('encoder'),
      ...weight('encoder_embed.conv.0.weight', '1'),
      ...op.string('joiner'),
      ...weight('output_linear.weight', '2'),
      ...op.setItems,
      ...op.stop,
    ];
    const { tensors } = await openTensors(await torchZip(pickle, { 0: storage, 1: storage, 2: storage }));
    expect([...tensors.keys()]).toEqual([
      'model.criterion.weight',
      'encoder.encoder_embed.conv.0.weight',
      'joiner.output_linear.weight',
    ]);
  });

  /** A TorchScript archive whose root holds `modules`, each of a class of its own file of code. */
  const script = (modules: readonly string[], code: string) => {
    const object = (name: string) => [...op.global(`__torch__.${name}`, 'BasicNorm'), ...op.emptyTuple, 0x81];
    const pickle = [
      ...op.proto,
      ...object('root'),
      ...op.emptyDict,
      ...modules.flatMap((name) => [...op.string(name), ...object(name), ...op.emptyDict, 0x62, ...op.setItem]),
      0x62,
      ...op.stop,
    ];
    const files = Object.fromEntries(modules.map((name) => [`code/__torch__/${name}.py`, code]));
    return torchZip(pickle, {}, { 'constants.pkl': '(t.', ...files });
  };

  it('reads the eps of a scripted norm from the code of its own class', async () => {
    const norm = (name: string, eps: number) => `class ${name}(Module):\n  pow(torch.add(x, ${eps}), -0.5)\n`;
    const source = await script(['a', 'b'], norm('Other', 0.5) + norm('BasicNorm', 0.25) + norm('Last', 0.125));
    const { tensors, read } = await openTensors(source);
    expect([...tensors.keys()]).toEqual(['a.eps', 'b.eps']);
    expect(await read('b.eps')).toEqual(Float32Array.of(Math.log(0.25)));
  });

  it('refuses TorchScript of more code or longer names than a network has', async () => {
    const much = await script(['a', 'b'], ' '.repeat(3 << 20));
    expect(await failure('bad-checkpoint', () => openTensors(much))).toContain('bytes of TorchScript code');
    const long = await script(['a'.repeat(600)], '');
    expect(await failure('bad-checkpoint', () => openTensors(long))).toContain('a name of 600 characters');
  });

  it('refuses compressed entries', async () => {
    const source = await torchZip(oneTensor('w', op.tensor('0', 12, 0, [12], [1])), { 0: storage }, {}, 9);
    await failure('bad-checkpoint', () => openTensors(source));
  });

  it.each(['', 'hello', 'PK\x03\x04 not really'])('refuses a file that is no zip: %j', async (content) => {
    await failure('bad-checkpoint', () => openTensors(bytesSource(new TextEncoder().encode(content))));
  });

  const FORMATS = [
    'noproj/checkpoint.pt',
    'formats/legacy.pt',
    'formats/encoder_jit_trace.pt',
    'formats/one_shared_storage.pt',
    'formats/encoder.onnx',
  ];
  const ODD_FORMATS = [
    'checkpoints/values-zip.pt',
    'checkpoints/values-legacy.pt',
    'checkpoints/exports/plain-encoder.int8-channels.onnx',
    'checkpoints/exports/projected-decoder.int8-all.onnx',
  ];

  /** Halves become floats, as do bytes that were quantized; tensors can share their storage. */
  const limits = { codes: ['bad-checkpoint', 'bad-model'], growth: 4 } as const;

  /** Opens a file and reads every tensor of it. @returns their bytes */
  async function readAll(bytes: Uint8Array): Promise<number> {
    const { tensors, read } = await openTensors(bytesSource(bytes));
    let total = 0;
    for (const [name, { dtype }] of tensors) {
      total += dtype.includes('F') ? (await read(name)).byteLength : 0;
    }
    return total;
  }

  it.each(FORMATS)('of the format of %s is refused when it is cut off anywhere', async (path) => {
    const bytes = await readFixture(`golden/${path}`);
    expect(await readAll(bytes)).toBeGreaterThan(40_000);
    await expectRefused(truncations(bytes), readAll, limits);
  });

  // A zip of many storages takes longest to read, each of them checked; in small there is one among the odd ones.
  const [ofMany, ...others] = [...FORMATS.map((path) => `golden/${path}`), ...ODD_FORMATS];
  it.each(alsoInAll(others, [ofMany]))('like %s survives flipped bits and hostile lengths', async (path) => {
    const bytes = await readFixture(path);
    await expectSurvived(bitFlips(bytes, 60), readAll, limits);
    await expectSurvived(hostileLengths(bytes, 18), readAll, limits);
  });

  it('notices a flipped bit in a storage', async () => {
    const source = await torchZip(oneTensor('w', op.tensor('0', 12, 0, [12], [1])), { 0: storage });
    const bytes = (await source.read(0, source.size)).slice();
    const at = bytes.findIndex(
      (_, i) => new DataView(bytes.buffer).byteLength > i + 4 && new DataView(bytes.buffer).getFloat32(i, true) === 11,
    );
    bytes[at] ^= 1;
    const { read } = await openTensors(bytesSource(bytes));
    expect(await failure('bad-checkpoint', () => read('w'))).toContain('cannot be read');
  });
});

describe('unpickle', () => {
  const options = { findConstructor: () => undefined, persistentLoad: () => null };
  const run = (...bytes: number[]) => unpickle(Uint8Array.from(bytes), options).value;

  it('reads the values of every protocol', () => {
    expect(run(...op.proto, 0x4b, 7, ...op.stop)).toBe(7);
    expect(run(0x8a, 2, 0xfe, 0xff, ...op.stop)).toBe(-2);
    expect(run(0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0, ...op.stop)).toBe(1.5);
    expect(run(0x8c, 1, 0x61, 0x94, 0x30, 0x68, 0, ...op.stop)).toBe('a');
    expect(run(0x5d, ...op.mark, 0x4b, 1, 0x88, 0x4e, 0x65, ...op.stop)).toEqual([1, true, null]);
    expect(run(0x49, 0x31, 0x32, 0x0a, ...op.stop)).toBe(12);
    expect(run(0x8f, ...op.mark, 0x4b, 1, 0x90, ...op.stop)).toEqual([1]);
    expect(run(...op.mark, 0x4b, 1, 0x91, ...op.stop)).toEqual([1]);
    expect(run(0x96, 2, 0, 0, 0, 0, 0, 0, 0, 8, 9, ...op.stop)).toEqual(Uint8Array.of(8, 9));
  });

  it('passes over callables of every opcode, and buffers outside the pickle', () => {
    const global = [...Buffer.from('cdatetime\ndate\n')];
    const isOpaque = (...bytes: number[]) => expect(run(...bytes, ...op.stop)).toBeInstanceOf(Opaque);
    isOpaque(...global);
    isOpaque(...global, ...op.emptyTuple, ...op.reduce);
    isOpaque(...global, ...op.emptyTuple, 0x81, 0x4e, 0x62);
    isOpaque(...global, ...op.emptyTuple, ...op.emptyDict, 0x92);
    isOpaque(...op.mark, 0x4b, 1, 0x69, ...Buffer.from('datetime\ndate\n'));
    isOpaque(...op.mark, ...global, 0x4b, 1, 0x6f);
    isOpaque(0x82, 7);
    isOpaque(0x97, 0x98);
  });

  it('refuses more names than a checkpoint has', async () => {
    const names = Array.from({ length: 10_001 }, (_, i) => `ca\n${i}\n0`).join('');
    expect(await failure('bad-checkpoint', () => run(...Buffer.from(names)))).toContain('more than 10000 classes');
    expect(run(...Buffer.from('ca\nb\n0'.repeat(10_001)), 0x4e, ...op.stop)).toBe(null);
  });

  it('refuses more dicts than a checkpoint has', async () => {
    const dicts = new Uint8Array(500_001).fill(0x7d);
    expect(await failure('bad-checkpoint', () => unpickle(dicts, options))).toContain('more than 500000');
  });

  it.each([
    ['an empty stack', [...op.stop]],
    ['no mark', [...op.tuple, ...op.stop]],
    ['an unknown memo', [0x68, 3, ...op.stop]],
    ['an unknown opcode', [0xff]],
    ['a string beyond the end', [0x58, 0xff, 0xff, 0xff, 0x7f, 0x61]],
    ['no end', [0x4e]],
    ['a call of a number', [0x4b, 1, ...op.emptyTuple, ...op.reduce, ...op.stop]],
    ['an item for a number', [0x4b, 1, 0x4b, 2, 0x61, ...op.stop]],
    ['an integer of a megabyte', [0x8b, 0, 0, 0x10, 0]],
  ])('refuses %s', async (_, bytes) => {
    await failure('bad-checkpoint', () => run(...bytes));
  });
});
