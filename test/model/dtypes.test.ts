import { describe, expect, it } from 'vitest';
import { dequantizeRows, quantizeRows, requireFiniteHalves, toHalf } from '../../src/model/dtypes.ts';
import { readSafetensors, writeSafetensors } from '../../src/model/safetensors.ts';
import { decodeFloats } from '../../src/model/tensors.ts';
import { expectSameBytes } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { randoms } from '../support/random.ts';

const halves = (values: readonly number[]) => [...toHalf('test', Float32Array.from(values))];

describe('half precision', () => {
  it.each([
    ['zeros keep their sign', [0, -0], [0x0000, 0x8000]],
    ['whole numbers', [1, -2, 2048, 65504], [0x3c00, 0xc000, 0x6800, 0x7bff]],
    ['ties go to even', [2049, 2051, 1 + 2 ** -11, 1 + 3 * 2 ** -11], [0x6800, 0x6802, 0x3c00, 0x3c02]],
    ['above a tie rounds up', [2049.000244140625], [0x6801]],
    ['a carry goes into the exponent', [2 - 2 ** -12], [0x4000]],
    ['numbers below the smallest normal one', [2 ** -24, 2 ** -25, 1.5 * 2 ** -25, 2 ** -15], [1, 0, 1, 0x0200]],
    ['the largest of those becomes normal', [2 ** -14 - 2 ** -26], [0x0400]],
    ['what is too small', [2 ** -26, -(2 ** -40)], [0, 0x8000]],
  ])('%s', (_, values, expected) => {
    expect(halves(values)).toEqual(expected);
  });

  it('gives every half number back', () => {
    const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    const floats = decodeFloats(new Uint8Array(all.buffer), 'F16');
    expectSameBytes(Float32Array.from(toHalf('test', floats)), Float32Array.from(all), 'halves');
  });

  it('refuses what is beyond its range', async () => {
    expect(await failure('bad-model', () => toHalf('w', Float32Array.of(1, 65520)))).toContain('element 1 of w');
  });
});

describe('int8 rows', () => {
  it('are within half a step, and quantising again changes nothing', () => {
    const rows = 7;
    const values = randoms(rows * 33, 3, 5);
    const { values: whole, scales } = quantizeRows(values, rows);
    const back = dequantizeRows(whole, scales);
    const step = (i: number) => scales[Math.floor(i / 33)] / 127;
    expect(back.every((value, i) => Math.abs(value - values[i]) <= step(i) * 0.5001)).toBe(true);
    const again = quantizeRows(back, rows);
    expect(again.values).toEqual(whole);
    expectSameBytes(again.scales, scales, 'scales');
  });

  it('of zeros stay zero', () => {
    expect([...dequantizeRows(new Int8Array(4), new Float32Array(2))]).toEqual([0, 0, 0, 0]);
  });
});

describe('a packed safetensors file', () => {
  const tensors = [
    { name: 'vector', shape: [3], read: async () => Float32Array.of(0.1, 0.2, 0.3) },
    { name: 'matrix', shape: [2, 3], read: async () => Float32Array.of(1, -0.5, 0.25, 100, -127, 3) },
  ];

  it.each([
    ['f16', 'F16', 12 + 12],
    ['int8', 'I8', 12 + 6 + 8],
  ] as const)('of %s keeps matrices in it and vectors in f32', async (dtype, stored, dataBytes) => {
    const file = await writeSafetensors(tensors, dtype);
    const { tensors: listed, read } = readSafetensors(file);
    expect([...listed.keys()].sort()).toEqual(['matrix', 'vector']);
    expect(listed.get('matrix')).toMatchObject({ dtype: stored, shape: [2, 3] });
    expect(file.length - Number(new DataView(file.buffer).getBigUint64(0, true)) - 8).toBe(dataBytes);
    expectSameBytes(await read('vector'), await tensors[0].read(), 'vector');
    const matrix = await read('matrix');
    const expected = await tensors[1].read();
    const error = dtype === 'int8' ? [0.5 / 127, 63.5 / 127] : [0, 0];
    expect(matrix.every((value, i) => Math.abs(value - expected[i]) <= error[Math.floor(i / 3)])).toBe(true);
  });

  it('gives matrices as they are stored, to whoever wants them so', async () => {
    const matrix = await tensors[1].read();
    const [f32, f16, int8] = await Promise.all(
      (['f32', 'f16', 'int8'] as const).map(async (dtype) => readSafetensors(await writeSafetensors(tensors, dtype))),
    );
    expect(await int8.readInt8?.('matrix')).toEqual(quantizeRows(matrix, 2));
    expect(await f16.readF16?.('matrix')).toEqual(toHalf('matrix', matrix));
    expect(await f32.readInt8?.('matrix')).toBeUndefined();
    expect(await f32.readF16?.('matrix')).toBeUndefined();
    expect(await f16.readInt8?.('matrix')).toBeUndefined();
    expect(await int8.readF16?.('matrix')).toBeUndefined();
  });

  it.each([
    [0x7c00, 'Infinity'],
    [0xfc00, '-Infinity'],
    [0x7c01, 'NaN'],
  ])('of bits %x is refused as %s, with its place', async (bits, name) => {
    const message = await failure('bad-model', () => {
      requireFiniteHalves('matrix', Uint16Array.of(0x7bff, bits));
    });
    expect(message).toContain(`${name} at element 1 of matrix`);
  });

  it('without its scales is refused', async () => {
    const file = await writeSafetensors(tensors, 'int8');
    const text = new TextDecoder('latin1').decode(file).replace('row_scale', 'row_smile');
    const { read } = readSafetensors(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    expect(await failure('bad-model', () => read('matrix'))).toContain('matrix.row_scale');
  });
});
