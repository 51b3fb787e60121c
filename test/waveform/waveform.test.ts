import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Resampler } from '../../src/waveform/resampler.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { wakeWordsFolder } from '../support/fixtures.ts';
import { attempt, bitFlipsAt, expectRefused, expectSurvived, hostileLengthsAt, truncations } from '../support/fuzz.ts';
import { randoms } from '../support/random.ts';

interface WavOptions {
  format?: number;
  channels?: number;
  sampleRate?: number;
  bits?: number;
  data?: number[];
  dataSize?: number;
  extensible?: boolean;
  chunkBefore?: boolean;
}

/** A WAV file, right or wrong. */
function wav({
  format = 1,
  channels = 1,
  sampleRate = 16000,
  bits = 16,
  data = [],
  dataSize = data.length,
  extensible,
  chunkBefore,
}: WavOptions): Uint8Array {
  const text = (value: string) => Array.from(value, (c) => c.charCodeAt(0));
  const u16 = (value: number) => [value & 255, value >> 8];
  const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
  const common = [...u16(channels), ...u32(sampleRate), ...u32(0), ...u16(0), ...u16(bits)];
  const fmt = extensible
    ? [...u16(0xfffe), ...common, ...u16(22), ...u16(bits), ...u32(0), ...u16(format), ...Array<number>(14).fill(0)]
    : [...u16(format), ...common];
  const before = chunkBefore ? [...text('LIST'), ...u32(3), 1, 2, 3, 0] : [];
  return Uint8Array.from([
    ...text('RIFF'),
    ...u32(0),
    ...text('WAVE'),
    ...before,
    ...text('fmt '),
    ...u32(fmt.length),
    ...fmt,
    ...text('data'),
    ...u32(dataSize),
    ...data,
  ]);
}

const bytes = (array: ArrayBufferView) => [...new Uint8Array(array.buffer, array.byteOffset, array.byteLength)];

describe('readWav', () => {
  it('takes no note behind an empty recording for sound', () => {
    const note = [...bytes(new TextEncoder().encode('LIST')), 4, 0, 0, 0, 1, 2, 3, 4];
    const file = wav({ dataSize: 0, data: note });
    new DataView(file.buffer).setUint32(4, file.length - 8, true);
    expect(() => readWav(file)).toThrow('a WAV file without samples');
  });

  it.each([
    ['8 bits', { bits: 8, data: [0, 128, 255] }, [-1, 0, 127 / 128]],
    ['16 bits', { data: bytes(Int16Array.of(-32768, 1, 32767)) }, [-1, 1 / 32768, 32767 / 32768]],
    ['24 bits', { bits: 24, data: [0, 0, 128, 255, 255, 255, 1, 0, 0] }, [-1, -1 / 8388608, 1 / 8388608]],
    ['32 bits', { bits: 32, data: bytes(Int32Array.of(-(2 ** 31), 2 ** 30)) }, [-1, 0.5]],
    ['float', { format: 3, bits: 32, data: bytes(Float32Array.of(0.25, -0.5)) }, [0.25, -0.5]],
    ['float64', { format: 3, bits: 64, data: bytes(Float64Array.of(0.25)) }, [0.25]],
    ['stereo, averaged', { channels: 2, data: bytes(Int16Array.of(16384, 0, -16384, -16384)) }, [0.25, -0.5]],
    [
      'extensible, behind another chunk',
      { extensible: true, chunkBefore: true, data: bytes(Int16Array.of(16384)) },
      [0.5],
    ],
    ['a data size that a pipe left open', { dataSize: 0xffffffff, data: bytes(Int16Array.of(16384)) }, [0.5]],
    ['a data size of zero before samples', { dataSize: 0, data: bytes(Int16Array.of(16384)) }, [0.5]],
  ] as const)('reads %s', (_, options, expected) => {
    const { samples, sampleRate } = readWav(wav(options as unknown as WavOptions));
    expect([...samples]).toEqual(expected.map(Math.fround));
    expect(sampleRate).toBe(16000);
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'an empty file'],
    ['another file', new TextEncoder().encode('ID3 this is an mp3'), 'starts with "ID3 "'],
    ['no samples', wav({}), 'without samples'],
    ['a compressed format', wav({ format: 85, bits: 16, data: [1, 2] }), 'WAV format 85'],
    ['an odd width', wav({ bits: 12, data: [1, 2] }), '12 bits'],
    ['a truncated file', wav({ dataSize: 100, data: [1, 2] }), '100 bytes with 2 bytes left'],
    ['no channels', wav({ channels: 0, data: [1, 2] }), '0 channels'],
    ['no rate', wav({ sampleRate: 0, data: [1, 2] }), 'at 0 Hz'],
    ['a header alone', wav({ data: [1, 2] }).slice(0, 36), 'without a "data" chunk'],
  ])('refuses %s', async (_, file, says) => {
    expect(await failure('bad-audio', () => readWav(file))).toContain(says);
  });
});

describe('a damaged WAV file', () => {
  /** A sample of 8 bits becomes one of 32. */
  const limits = { codes: ['bad-audio'], growth: 4 } as const;
  const read = (file: Uint8Array) => readWav(file).samples.byteLength;
  const recording = async () => new Uint8Array(await readFile(`${wakeWordsFolder}/samples/alexa.wav`));
  const pcm = bytes(Int16Array.from({ length: 500 }, (_, i) => 7 * i));
  const KINDS = [
    ['extensible, behind another chunk', wav({ extensible: true, chunkBefore: true, data: pcm })],
    ['of floats', wav({ format: 3, bits: 32, channels: 2, data: bytes(randoms(500, 5)) })],
    ['of 8 bits', wav({ bits: 8, data: pcm })],
  ] as const;

  it('is refused wherever it is cut off', async () => {
    await expectRefused(truncations(await recording()), read, limits);
    for (const [, file] of KINDS) {
      await expectRefused(truncations(file), read, limits);
    }
  });

  it.each([0xffffffff, 0x80000000, 0x7ffff000, 0x7fffffff])(
    'of unknown size %i gives the samples there are',
    async (dataSize) => {
      const file = wav({ dataSize, data: pcm });
      for (const cut of truncations(file)) {
        const outcome = await attempt(cut, read, limits);
        const samples = Math.max(0, Math.floor((cut.bytes.length - 44) / 2));
        expect(typeof outcome === 'number' ? outcome : 0, cut.what).toBe(4 * samples);
      }
    },
  );

  it.each(KINDS)('%s survives flipped bits and hostile lengths', async (_, file) => {
    expect(await expectSurvived(bitFlipsAt(file, Array(80).keys()), read, limits)).toBeGreaterThan(50);
    expect(await expectSurvived(hostileLengthsAt(file, Array(80).keys()), read, limits)).toBeGreaterThan(500);
  });
});

describe('Resampler', () => {
  const whole = (samples: Float32Array, from: number, to: number) => {
    const resampler = new Resampler(from, to);
    return Float32Array.from([...resampler.accept(samples), ...resampler.finish()]);
  };

  it.each([8000, 11025, 22050, 44100, 48000, 96000])('keeps a tone from %i Hz to 16000 Hz', (rate) => {
    const tone = (sampleRate: number, count: number) =>
      Float32Array.from({ length: count }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / sampleRate));
    const output = whole(tone(rate, rate / 2), rate, 16000);
    expect(output).toHaveLength(8000);
    const expected = tone(16000, 8000);
    // Away from the ends, where the window hangs over into silence; the filter's ripple is under 1 %.
    for (let i = 200; i < 7800; i++) {
      expect(Math.abs(output[i] - expected[i])).toBeLessThan(0.01);
    }
  });

  it.each([8000, 11025, 44100, 48000])('agrees with Kaldi’s formula, from %i Hz', (rate) => {
    const samples = randoms(400, 5);
    const actual = whole(samples, rate, 16000);
    // feat/resample.cc, FilterFunc: a sinc of six zeros to each side, under a Hann window.
    const cutoff = 0.99 * 0.5 * Math.min(rate, 16000);
    const filter = (t: number) => {
      const window = Math.abs(t) < 6 / (2 * cutoff) ? 0.5 * (1 + Math.cos((2 * Math.PI * cutoff * t) / 6)) : 0;
      return window * (t === 0 ? 2 * cutoff : Math.sin(2 * Math.PI * cutoff * t) / (Math.PI * t));
    };
    const expected = actual.map((_, i) =>
      samples.reduce((sum, value, k) => sum + (value * filter(k / rate - i / 16000)) / rate, 0),
    );
    // Sums are float64, the output is float32.
    expect(largestDifference(actual, expected)).toBeLessThan(1e-6);
  });

  it('removes what the lower rate cannot hold', () => {
    const tone = Float32Array.from({ length: 24000 }, (_, i) => Math.sin((2 * Math.PI * 11000 * i) / 48000));
    const output = whole(tone, 48000, 16000).subarray(200, 7800);
    expect(Math.max(...output.map(Math.abs))).toBeLessThan(0.01);
  });

  it.each([48000, 44100, 8000])('gives the same bytes in any split, from %i Hz', (rate) => {
    const samples = randoms(rate / 5, 3);
    const expected = whole(samples, rate, 16000);
    for (const size of [1, 7, 160, 4096]) {
      const resampler = new Resampler(rate, 16000);
      const parts: number[] = [];
      for (let at = 0; at < samples.length; at += size) {
        parts.push(...resampler.accept(samples.subarray(at, at + size)));
      }
      parts.push(...resampler.finish());
      expectSameBytes(Float32Array.from(parts), expected, `pieces of ${size}`);
    }
  });

  it('passes its own rate through, and starts afresh after finish', () => {
    const samples = randoms(100, 4);
    expectSameBytes(whole(samples, 16000, 16000), samples, 'same rate');
    const resampler = new Resampler(48000, 16000);
    const run = () => Float32Array.from([...resampler.accept(samples), ...resampler.finish()]);
    expectSameBytes(run(), run(), 'second run');
  });

  it.each([
    [767_999, 16000],
    [16000, 767_999],
    [767_999, 768_000],
  ])('takes no more memory than the samples justify, from %i to %i Hz', async (from, to) => {
    const file = new Uint8Array(randoms(100, 6).buffer);
    const read = (input: Uint8Array<ArrayBuffer>) => whole(new Float32Array(input.buffer), from, to).byteLength;
    const growth = Math.ceil((to + 1) / from);
    expect(await attempt({ what: 'short', bytes: file }, read, { codes: [], growth })).toBeGreaterThan(0);
  });

  it.each([0, -1, 999, 16000.5, NaN, 1e9])('refuses a rate of %d', async (rate) => {
    await failure('bad-audio', () => new Resampler(rate, 16000));
  });
});
