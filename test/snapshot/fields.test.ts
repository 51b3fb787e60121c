import { describe, expect, it } from 'vitest';
import { SnapshotReader, SnapshotWriter } from '../../src/snapshot/bytes.ts';
import { fingerprint } from '../../src/snapshot/fingerprint.ts';
import {
  absent,
  flag,
  floats,
  list,
  logarithm,
  optional,
  real,
  record,
  text,
  whole,
  type Field,
} from '../../src/snapshot/fields.ts';
import { failure } from '../support/failure.ts';

function written<Value>(field: Field<Value>, value: Value): SnapshotReader {
  const to = new SnapshotWriter();
  field.write(to, value);
  return new SnapshotReader(to.written);
}

const DEEP = record({
  count: whole(),
  scores: list(record({ score: logarithm, name: optional(text) })),
  values: floats(3),
  told: flag,
  none: absent,
});

describe('The fields of a snapshot', () => {
  it('read what they wrote, to the bit', () => {
    const value = {
      count: 2 ** 40,
      scores: [
        { score: -Infinity, name: undefined },
        { score: -0, name: '\ufeffä▁雪' },
        { score: -1 / 3, name: '' },
      ],
      values: Float32Array.of(-0, 1e-45, 3.4e38),
      told: true,
      none: undefined,
    };
    const from = written(DEEP, value);
    expect(DEEP.read(from)).toEqual(value);
    from.end();
  });

  it('read what they wrote where the room for it has grown', () => {
    const flags = Array.from({ length: 20_000 }, (_, i) => i % 3 === 0);
    expect(list(flag).read(written(list(flag), flags))).toEqual(flags);
    const numbers = Array.from({ length: 5000 }, (_, i) => i);
    const odd = record({ told: flag, numbers: list(whole()) });
    expect(odd.read(written(odd, { told: true, numbers })).numbers).toEqual(numbers);
  });

  it.each<[string, Field<number>, number]>([
    ['half a frame', whole(), 1.5],
    ['fewer than none', whole(), -1],
    ['more than there can be', whole({ most: 28 }), 29],
    ['no number', whole(), NaN],
    ['a score that is none', logarithm, NaN],
    ['a score beyond all', logarithm, Infinity],
    ['a number without end', real, -Infinity],
  ])('refuse %s', async (_, field, value) => {
    await failure('bad-snapshot', () => field.read(written(field, value)));
  });

  it('refuse arrays that are too long for what is there, or not numbers', async () => {
    const counted = (count: number) => written(record({ count: real, first: real }), { count, first: 0 });
    for (const count of [2, 2 ** 31, 2 ** 53, NaN, -1, 0.5]) {
      await failure('bad-snapshot', () => list(real).read(counted(count)));
      await failure('bad-snapshot', () => floats(1).read(counted(count)));
    }
    await failure('bad-snapshot', () => floats().read(written(floats(), Float32Array.of(1, NaN))));
    await failure('bad-snapshot', () => list(real, 2).read(written(list(real), [1])));
  });

  it('refuse texts that are none, and what is left over', async () => {
    const bytes = new SnapshotWriter();
    bytes.number(2);
    bytes.bytes(Uint8Array.of(0xc3, 0x28));
    await failure('bad-snapshot', () => text.read(new SnapshotReader(bytes.written)));
    await failure('bad-snapshot', () => flag.read(new SnapshotReader(Uint8Array.of(2))));
    await failure('bad-snapshot', () => new SnapshotReader(Uint8Array.of(2)).end());
  });

  it('have a checksum that is FNV-1a', () => {
    // Of its authors' test suite.
    expect(fingerprint([''])).toBe(0x811c9dc5);
    expect(fingerprint(['foo', Uint8Array.of(98, 97, 114)])).toBe(0xbf9cf968);
  });
});
