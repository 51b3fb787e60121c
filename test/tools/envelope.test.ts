import { describe, expect, it } from 'vitest';
import { pack, unpack } from '../../tools/runtime/envelope.ts';

describe('what travels between Node and a page', () => {
  it('arrives as it was, arrays at any depth, in memory that is not aligned too', () => {
    const value = {
      text: 'ж',
      none: null,
      list: [1, Float32Array.of(1.5, -2), { deep: Uint8Array.of(1, 2, 3) }],
      empty: new Float32Array(0),
    };
    const packed = pack(value);
    const shifted = new Uint8Array(packed.length + 3);
    shifted.set(packed, 3);
    expect(unpack(packed)).toEqual(value);
    expect(unpack(shifted.subarray(3))).toEqual(value);
  });

  it('may be as large as a full-size model', () => {
    // A Buffer, as files are read: JSON would turn it into a list of so many numbers.
    const bytes = Buffer.alloc(170_000_000, 7);
    const { model } = unpack(pack({ model: bytes })) as { model: Uint8Array };
    expect(model.length).toBe(bytes.length);
    expect(model[model.length - 1]).toBe(7);
  });
});
