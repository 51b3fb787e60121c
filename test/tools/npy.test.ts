import { describe, expect, it } from 'vitest';
import { readNpy, writeNpy } from '../../tools/npy.ts';
import { failure } from '../support/failure.ts';
import { readFixture } from '../support/fixtures.ts';
import {
  bitFlipsAt,
  expectRefused,
  expectSurvived,
  hostileLengthsAt,
  hostileTexts,
  truncations,
  type Damaged,
} from '../support/fuzz.ts';

/** A .npy file with any header. */
function npy(header: string, data: Uint8Array, version = 1): Uint8Array<ArrayBuffer> {
  const start = version === 1 ? 10 : 12;
  const file = new Uint8Array(start + header.length + data.length);
  file.set(Uint8Array.from(`\x93NUMPY${String.fromCharCode(version)}\x00`, (letter) => letter.charCodeAt(0)));
  new DataView(file.buffer).setUint32(8, header.length, true);
  file.set(
    Uint8Array.from(header, (letter) => letter.charCodeAt(0)),
    start,
  );
  file.set(data, start + header.length);
  return file;
}

const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n";
const data = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);

describe('readNpy', () => {
  it('reads what it wrote, and every format', () => {
    expect(readNpy(writeNpy([2, 1], Float32Array.of(1, -2)), 'x')).toEqual({
      shape: [2, 1],
      data: Float32Array.of(1, -2),
    });
    expect(readNpy(writeNpy([2], BigInt64Array.of(7n, -8n)), 'x')).toEqual({
      shape: [2],
      data: Float32Array.of(7, -8),
    });
    for (const version of [1, 2, 3]) {
      expect(readNpy(npy(header, data, version), 'x').shape).toEqual([3, 2]);
    }
    expect(readNpy(npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", new Uint8Array(8)), 'x').shape).toEqual(
      [],
    );
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'not a .npy file'],
    ['another file', new Uint8Array(100), 'not a .npy file'],
    ['a format of the future', npy(header, data, 4), 'format 4'],
    ['a header longer than the file', npy(header, data).slice(0, 40), 'a header of'],
    ['columns first', npy(header.replace('False', 'True'), data), 'fortran_order "True"'],
    ['objects', npy(header.replace('<f4', '|O'), data), '"|O"'],
    ['a type that is a property of every object', npy(header.replace('<f4', 'constructor'), data), '"constructor"'],
    ['no shape', npy(header.replace('shape', 'size'), data), 'shape undefined'],
    ['a negative size', npy(header.replace('3, 2', '-3, -2'), data), 'shape undefined'],
    ['more data than the shape takes', npy(header, new Uint8Array(27)), '27 bytes of data'],
    [
      'a long axis beside an empty one',
      npy(header.replace('3, 2', '4000000000, 0'), new Uint8Array(0)),
      '[4000000000, 0]',
    ],
    ['a header of megabytes', npy("'shape':(".repeat(1 << 20), data, 2), 'a header of'],
  ])('refuses %s', async (_, file, says) => {
    expect(await failure('bad-argument', () => readNpy(file, 'x.npy'))).toContain(says);
  });
});

describe('a damaged .npy file', () => {
  /** Types of two bytes and less are not read. */
  const limits = { codes: ['bad-argument'], growth: 1 } as const;
  const read = (bytes: Uint8Array) => {
    const array = readNpy(bytes, 'x.npy');
    // An axis is something to loop over.
    expect(Math.max(0, ...array.shape)).toBeLessThanOrEqual(bytes.length);
    return array.data.byteLength;
  };

  it('is refused wherever it is cut off', async () => {
    await expectRefused(truncations(await readFixture('golden/small/features.npy')), read, limits);
    await expectRefused(truncations(await readFixture('golden/small/feature_lens.npy')), read, limits);
    await expectRefused(truncations(npy(header, data, 2)), read, limits);
  });

  it.each([1, 2])('of format %i survives flipped bits, hostile lengths and hostile headers', async (version) => {
    const whole = npy(header, data, version);
    function* headers(): Generator<Damaged> {
      for (const { what, text } of hostileTexts(header)) {
        yield { what, bytes: npy(text, data, version) };
      }
    }
    expect(await expectSurvived(bitFlipsAt(whole, Array(whole.length).keys()), read, limits)).toBeGreaterThan(200);
    expect(await expectSurvived(hostileLengthsAt(whole, Array(whole.length).keys()), read, limits)).toBeGreaterThan(
      500,
    );
    expect(await expectSurvived(headers(), read, limits)).toBeGreaterThan(100);
  });
});
