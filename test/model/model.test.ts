import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { openTensors } from '../../src/checkpoint/open.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { readSafetensors, writeSafetensors } from '../../src/model/safetensors.ts';
import { expectedTensors, encoderFrames, inferSizes, subsampledFreqs } from '../../src/model/sizes.ts';
import { decodeFloats, type TensorSource } from '../../src/model/tensors.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import { failure } from '../support/failure.ts';
import { goldenModel, readFixture } from '../support/fixtures.ts';
import {
  attempt,
  bitFlips,
  bitFlipsAt,
  expectRefused,
  expectSurvived,
  hostileLengths,
  hostileLengthsAt,
  hostileTexts,
  truncations,
  type Damaged,
} from '../support/fuzz.ts';

const tensor = (name: string, values: number[], shape = [values.length]) => ({
  name,
  shape,
  read: async () => Float32Array.from(values),
});

/** A safetensors file with any header. */
function file(header: unknown, data = new Uint8Array(8)): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

describe('safetensors', () => {
  it('reads what it wrote', async () => {
    const bytes = await writeSafetensors([
      tensor('a', [1, -2.5, 3]),
      tensor('scalar', [7], []),
      tensor('b', [4, 5], [2, 1]),
    ]);
    const { tensors, read } = readSafetensors(bytes);
    expect([...tensors].map(([name, { shape, dtype }]) => [name, shape, dtype])).toEqual([
      ['a', [3], 'F32'],
      ['scalar', [], 'F32'],
      ['b', [2, 1], 'F32'],
    ]);
    expect([...(await read('a')), ...(await read('scalar')), ...(await read('b'))]).toEqual([1, -2.5, 3, 7, 4, 5]);
  });

  it.each([
    ['nothing', new Uint8Array(0)],
    ['a header longer than the file', Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 127, 0])],
    ['a header that is not JSON', file('{')],
    ['a type that is no name', file({ a: { dtype: 4, shape: [2], data_offsets: [0, 8] } })],
    ['a type of a long name', file({ a: { dtype: 'F'.repeat(17), shape: [2], data_offsets: [0, 8] } })],
    ['offsets in the wrong order', file({ a: { dtype: 'F4', shape: [2], data_offsets: [8, 0] } })],
    [
      'a Git LFS pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8\n'),
    ],
    ['offsets beyond the end', file({ a: { dtype: 'F32', shape: [4], data_offsets: [0, 16] } })],
    ['offsets that do not fit the shape', file({ a: { dtype: 'F32', shape: [3], data_offsets: [0, 8] } })],
    ['a shape too large to count', file({ a: { dtype: 'F32', shape: [2 ** 40, 2 ** 40], data_offsets: [0, 8] } })],
    ['a negative size', file({ a: { dtype: 'F32', shape: [-2], data_offsets: [0, 8] } })],
    ['no offsets', file({ a: { dtype: 'F32', shape: [2] } })],
    ['null for a tensor', file({ a: null })],
    [
      'tensors that share bytes',
      file({
        a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
        b: { dtype: 'F32', shape: [2], data_offsets: [0, 8] },
      }),
    ],
    ['a hole between tensors', file({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } })],
    ['data that no tensor claims', file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } })],
    ['more axes than any weight has', file({ a: { dtype: 'F64', shape: Array(9).fill(1), data_offsets: [0, 8] } })],
    ['a header that is no object', file('null', new Uint8Array(0))],
    ['a header of megabytes', file(`{${' '.repeat(5 << 20)}}`, new Uint8Array(0))],
  ])('refuses %s', async (_, bytes) => {
    await failure('bad-model', () => readSafetensors(bytes));
  });

  it.each(['F8_E4M3', 'F4', 'C64', 'F6_E2M3', 'something'])(
    'passes over tensors of type %s, which nobody needs',
    async (dtype) => {
      const { tensors, read } = readSafetensors(
        file({
          a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
          b: { dtype, shape: [3], data_offsets: [4, 8] },
        }),
      );
      expect(tensors.get('b')).toMatchObject({ dtype, shape: [3] });
      expect([...(await read('a'))]).toEqual([0]);
      expect(await failure('bad-model', () => read('b'))).toContain(`"b" of type "${dtype}"`);
    },
  );

  it('decodes every floating-point type', () => {
    const bytes = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    expect([...decodeFloats(bytes(Float64Array.of(1.5, -2)), 'F64')]).toEqual([1.5, -2]);
    expect([...decodeFloats(bytes(Float32Array.of(0.1)), 'F32')]).toEqual([Math.fround(0.1)]);
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000);
    expect([...decodeFloats(bytes(halves), 'F16')]).toEqual([1, -2, 2 ** -24, 65504, Infinity, -0]);
    expect([...decodeFloats(bytes(Uint16Array.of(0x3f80, 0xc040)), 'BF16')]).toEqual([1, -3]);
  });
});

/** Reads every tensor. @returns their bytes */
async function readAll({ tensors, read }: TensorSource): Promise<number> {
  let bytes = 0;
  for (const [name, { dtype }] of tensors) {
    bytes += dtype.includes('F') ? (await read(name)).byteLength : 0;
  }
  return bytes;
}

describe.each([
  ['in memory', (bytes: Uint8Array) => readSafetensors(bytes)],
  ['as a checkpoint', (bytes: Uint8Array) => openTensors(bytesSource(bytes))],
])('a damaged safetensors file, %s', (_, open) => {
  /** Halves become floats. */
  const limits = { codes: ['bad-model', 'bad-checkpoint'], growth: 2 } as const;
  const read = async (bytes: Uint8Array) => readAll(await open(bytes));
  const header = JSON.stringify({
    __metadata__: { format: 'pt' },
    a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
    b: { dtype: 'BF16', shape: [4], data_offsets: [24, 32] },
    scalar: { dtype: 'F64', shape: [], data_offsets: [32, 40] },
    steps: { dtype: 'I64', shape: [1], data_offsets: [40, 48] },
  });
  const whole = file(header, new Uint8Array(48).fill(1));

  it('is refused wherever it is cut off', async () => {
    expect(await read(whole)).toBe(44);
    await expectRefused(truncations(whole), read, limits);
  });

  it('survives flipped bits and hostile lengths', async () => {
    expect(await expectSurvived(bitFlipsAt(whole, Array(whole.length).keys()), read, limits)).toBeGreaterThan(500);
    const lengths = hostileLengthsAt(whole, Array(whole.length).keys());
    expect(await expectSurvived(lengths, read, limits)).toBeGreaterThan(500);
  });

  it('survives hostile values in its header', async () => {
    function* headers(): Generator<Damaged> {
      for (const { what, text } of hostileTexts(header)) {
        yield { what, bytes: file(text, whole.slice(-48)) };
      }
    }
    expect(await expectSurvived(headers(), read, limits)).toBeGreaterThan(200);
  });
});

describe('TokenTable', () => {
  it('splits text as sentencepiece does', async () => {
    const { tokens, cases } = JSON.parse(new TextDecoder().decode(await readFixture('sentencepiece.json'))) as {
      tokens: string;
      cases: { text: string; ids: number[] }[];
    };
    const table = TokenTable.parse(tokens);
    expect(cases.length).toBeGreaterThan(30);
    for (const { text, ids } of cases) {
      expect(table.encode(text), text).toEqual(ids);
      expect(table.encode(text.toLowerCase()), 'in the other case').toEqual(ids);
      expect(table.text(ids)).toBe(text);
    }
    expect(table.encode('ÄÖ')).toBeUndefined();
  });

  it('joins from the left where letters repeat', () => {
    expect(TokenTable.parse('<blk> 0\naa 1\n▁ 2\na 3\n').encode('aaa')).toEqual([1, 3, 2]);
  });

  it('knows a BPE table by its letters at the end, but for a few of its user’s own', () => {
    const bpe = '<blk> 0\n★ 1\nTH 2\nHE 3\nT 4\nH 5\nE 6\n';
    expect(TokenTable.parse(bpe).encode('THE')).toEqual([2, 6]);
  });

  it('takes a byte order mark for none of the symbols', () => {
    expect(TokenTable.parse('\uFEFF<blk> 0\na 1\n').symbols).toEqual(['<blk>', 'a']);
  });

  it('splits words as sentencepiece’s unigram model does, all but a few: tokens.txt does not have its scores', async () => {
    const { tokens, words } = JSON.parse(new TextDecoder().decode(await readFixture('sentencepiece-unigram.json'))) as {
      tokens: string;
      words: Record<string, number[]>;
    };
    const table = TokenTable.parse(tokens);
    const all = Object.entries(words);
    const same = all.filter(([word, ids]) => String(table.encode(word)) === String(ids));
    expect(all.length).toBeGreaterThan(300);
    expect(same.length / all.length).toBeGreaterThan(0.985);
    for (const [id, symbol] of table.symbols.entries()) {
      if (/^▁./.test(symbol)) {
        expect(table.encode(symbol.slice(1)), symbol).toEqual([id]);
      }
    }
    expect(table.encode('the user')).toEqual([...(table.encode('THE') ?? []), ...(table.encode('USER') ?? [])]);
    expect(table.encode('Ä')).toBeUndefined();
  });

  it('takes letters in the other case before it takes bytes', () => {
    const bytes = ['68', '69', 'C3', 'A9', '89'].map((byte, i) => `<0x${byte}> ${i + 4}\n`).join('');
    const table = TokenTable.parse(`<blk> 0\n▁H 1\n▁HI 2\n▁ 3\n${bytes}H 9\nI 10\n`);
    expect(table.encode('hi')).toEqual([2]);
    // É, in the case of the letters before it.
    expect(table.encode('hié')).toEqual([2, 6, 8]);
  });

  it('spells Chinese as the table has it: bare, behind marks, beside English', () => {
    const bare = TokenTable.parse('<blk> 0\n▁WOR 1\n▁W 2\nLD 3\nOR 4\n你 5\n好 6\n▁ 7\n');
    expect(bare.encode('你好WORLD')).toEqual([5, 6, 1, 3]);
    expect(bare.encode('你好 WORLD')).toEqual([5, 6, 1, 3]);
    expect(bare.text([5, 6, 1, 3])).toBe('你好 WORLD');
    const spaced = TokenTable.parse('<blk> 0\n▁A 1\n▁我 2\n▁们 3\n<0xE6> 4\n<0x88> 5\n<0x91> 6\n');
    expect(spaced.encode('我们')).toEqual([2, 3]);
    expect(spaced.text([2, 3, 1, 2])).toBe('我们 A 我');
    // Kana and punctuation behind it are one piece with it.
    const mixed = TokenTable.parse('<blk> 0\n▁A 1\n東 2\n京 3\nタ 4\nワ 5\nー 6\n， 7\n▁ 8\n');
    expect(mixed.encode('東京タワー')).toEqual([2, 3, 4, 5, 6]);
    expect(mixed.encode('東，京a')).toEqual([2, 7, 3, 1]);
    // A mark that words end with is none of Chinese.
    expect(TokenTable.parse('<blk> 0\n你 1\n好 2\n▁ 3\na 4\n').encode('你好 a')).toEqual([1, 2, 4, 3]);
  });

  it('takes other spellings of the same letters as NFKC has them', () => {
    const table = TokenTable.parse('<blk> 0\n▁C 1\nA 2\nF 3\nÉ 4\n▁ 5\n');
    for (const text of ['CAFÉ', 'CAFÉ'.normalize('NFD'), 'ＣＡＦÉ', 'café'.normalize('NFD')]) {
      expect(table.encode(text), text).toEqual([1, 2, 3, 4]);
    }
  });

  it('has spaces of any kind as symbols', () => {
    const table = TokenTable.parse('<blk> 0\n  1\n\u3000 2\na\t3\n');
    expect(table.symbols).toEqual(['<blk>', '▁', '\u3000', 'a']);
    expect(() => TokenTable.parse('<blk> 0\na b 1\n')).toThrow('"a b 1"');
  });

  it('spells by letters, bytes and closing marks where the table has those', () => {
    const letters = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\n');
    expect(letters.encode('ab A')).toEqual([2, 3, 1, 2, 1]);
    const bytes = TokenTable.parse('<blk> 0\n▁a 1\n▁ 2\n<0xC3> 3\n<0xA9> 4\n');
    expect(bytes.encode('a é')).toEqual([1, 2, 3, 4]);
    expect(bytes.text([1, 2, 3, 4])).toBe('a é');
  });

  it('joins tokens into text, whichever side of a word the mark is on', () => {
    const table = TokenTable.parse('<blk> 0\n▁ 1\n▁he 2\nllo 3\na 4\n');
    expect(table.text([2, 3, 2])).toBe('hello he');
    expect(table.text([4, 4, 1, 4, 1])).toBe('aa a');
    expect(table.idOf('llo')).toBe(3);
  });

  it('leaves out the disambiguation symbols of a lexicon', () => {
    expect(TokenTable.parse('<blk> 0\na 1\n#0 2\n#1 3\n').size).toBe(2);
  });

  it('makes characters of byte tokens, and holds back those that are not whole yet', () => {
    const table = TokenTable.parse('<blk> 0\n▁a 1\n<0xE4> 2\n<0xBD> 3\n<0xA0> 4\nb 5\n');
    expect(table.text([1, 2, 3, 4])).toBe('a你');
    expect(table.text([1, 2, 3])).toBe('a');
    expect(table.text([1, 2, 5])).toBe('a\ufffdb');
  });

  it.each(['', 'a\n', 'a 0\nb 0\n', 'a 0\nb 2\n', 'a 0 1\n', 'a -1\n', '#0 0\n'])('refuses %j', async (content) => {
    await failure('bad-model', () => TokenTable.parse(content));
  });
});

describe('sizes', () => {
  it('follows the subsampling of the specification', () => {
    expect(subsampledFreqs(80)).toEqual([78, 38, 18]);
    expect([8, 9, 12, 13, 16, 17, 3260].map(encoderFrames)).toEqual([0, 1, 1, 2, 2, 3, 813]);
    for (let frames = 9; frames < 200; frames++) {
      expect(encoderFrames(frames)).toBe((((frames - 3) >> 1) - 1) >> 1);
    }
  });
});

describe('openModel', () => {
  const small = () => goldenModel('small');

  /** The files of `small` with some tensors changed. */
  async function withTensors(
    change: (name: string, shape: readonly number[]) => readonly number[] | undefined,
  ): Promise<ModelFiles> {
    const files = await small();
    const { tensors } = readSafetensors(files['model.safetensors']);
    const kept = [...tensors].flatMap(([name, { shape }]) => {
      const changed = change(name, shape);
      return changed
        ? [{ name, shape: changed, read: async () => new Float32Array(changed.reduce((a, b) => a * b, 1)) }]
        : [];
    });
    return { ...files, 'model.safetensors': await writeSafetensors(kept) };
  }

  it('names a missing tensor', async () => {
    const gone = 'encoder.encoder.layers.1.feed_forward.4.bias';
    const files = await withTensors((name, shape) => (name === gone ? undefined : shape));
    expect(await failure('bad-model', () => openModel(files))).toContain(`no tensor ${gone}; expected shape (32)`);
  });

  it('names a misshapen tensor, with what was got and expected', async () => {
    const bent = 'encoder.encoder.layers.2.lstm.weight_hr_l0';
    const files = await withTensors((name, shape) => (name === bent ? [32, 63] : shape));
    expect(await failure('bad-model', () => openModel(files))).toContain(
      `${bent} of shape (32, 63); expected shape (32, 64)`,
    );
  });

  it('refuses another network', async () => {
    const files = await withTensors((name, shape) => (name.includes('encoder_embed.out.weight') ? undefined : shape));
    expect(await failure('bad-model', () => openModel(files))).toContain('lstm_transducer_stateless');
  });

  it('refuses tokens.txt of another model', async () => {
    expect(await failure('bad-model', async () => openModel({ ...(await small()), 'tokens.txt': 'a 0\n' }))).toContain(
      '1 tokens',
    );
  });

  it('asks for a projection where the cell is wider than the encoder', async () => {
    const { sizes } = openModel(await small());
    const shapes = new Map([...expectedTensors(sizes)].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
    shapes.delete('encoder.encoder.layers.0.lstm.weight_hr_l0');
    expect(await failure('bad-model', () => inferSizes('bad-model', shapes))).toContain(
      'no tensor encoder.encoder.layers.0.lstm.weight_hr_l0',
    );
  });
});

describe('a damaged model folder', () => {
  /** Text holds two bytes a character. */
  const limits = { codes: ['bad-model'], growth: 2 } as const;

  async function folder() {
    const files = await goldenModel('noproj');
    const { sizes } = openModel(files);
    const tokens = Array.from({ length: sizes.vocabSize ?? 0 }, (_, id) => `t${id} ${id}\n`);
    return { ...files, 'tokens.txt': tokens.join('').trimEnd(), 'config.json': files['config.json'].trimEnd() };
  }

  it.each(['config.json', 'tokens.txt'] as const)('is refused for a bad %s, or opens', async (name) => {
    const files = await folder();
    const whole = new TextEncoder().encode(files[name]);
    const size = openModel(files).tokens?.size;
    const read = (bytes: Uint8Array) => {
      const { tokens } = openModel({ ...files, [name]: new TextDecoder().decode(bytes) });
      expect(tokens?.size).toBe(size);
      // What a config gives has a fixed size.
      return name === 'tokens.txt' ? (tokens?.toString().length ?? 0) : 0;
    };
    function* texts(): Generator<Damaged> {
      for (const { what, text } of hostileTexts(files[name])) {
        yield { what, bytes: new TextEncoder().encode(text) };
      }
    }
    await expectRefused(truncations(whole), read, limits);
    expect(await expectSurvived(bitFlipsAt(whole, Array(whole.length).keys()), read, limits)).toBeGreaterThan(50);
    expect(await expectSurvived(texts(), read, limits)).toBeGreaterThan(100);
  });

  it('is refused for bad weights, or opens and can be read', async () => {
    const files = await folder();
    const whole = new Uint8Array(files['model.safetensors']);
    const read = (bytes: Uint8Array) => readAll(openModel({ ...files, 'model.safetensors': bytes }).weights);
    expect(await read(whole)).toBeGreaterThan(600_000);
    await expectRefused(truncations(whole), read, limits);
    expect(await expectSurvived(bitFlips(whole, 150), read, limits)).toBeGreaterThan(30);
    expect(await expectSurvived(hostileLengths(whole, 40), read, limits)).toBeGreaterThan(30);
    expect(await expectSurvived(hostileLengthsAt(whole, Array(9).keys()), read, limits)).toBeGreaterThan(30);
  });

  it.each([
    ['sample_rate', 16000.5],
    ['sample_rate', 2 ** 53],
    ['frame_shift_ms', 1e300],
    ['frame_length_ms', 1e9],
    ['preemphasis', 1e300],
    ['low_freq', -1],
  ])('is refused for %s: %d', async (key, value) => {
    const files = await goldenModel('noproj');
    const config = JSON.parse(files['config.json']) as { feature: object };
    const text = JSON.stringify({ ...config, feature: { ...config.feature, [key]: value } });
    await failure('bad-model', () => openModel({ ...files, 'config.json': text }));
  });

  it('is refused for frames that a small config would make megabytes of', async () => {
    const files = await goldenModel('noproj');
    const text = JSON.stringify({ feature: { sample_rate: 768_000, frame_length_ms: 1000 } });
    const read = () => {
      openModel({ ...files, 'config.json': text });
      return 0;
    };
    const bytes = new TextEncoder().encode(text);
    expect(await attempt({ what: 'with long frames', bytes }, read, limits)).toBeInstanceOf(Error);
  });
});
