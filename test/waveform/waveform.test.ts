import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openNegativeSpeech } from '../../src/node/speech.ts';
import { Resampler } from '../../src/waveform/resampler.ts';
import { WavStream, readWav } from '../../src/waveform/wav.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsFolder } from '../support/fixtures.ts';
import { attempt, bitFlipsAt, expectRefused, expectSurvived, hostileLengthsAt, truncations } from '../support/fuzz.ts';
import { randoms } from '../support/random.ts';

interface WavOptions {
  format?: number;
  channels?: number;
  sampleRate?: number;
  bits?: number;
  data?: number[];
  dataSize?: number;
  blockAlign?: number;
  tag?: string;
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
  blockAlign = 0,
  tag = 'RIFF',
  extensible,
  chunkBefore,
}: WavOptions): Uint8Array {
  const text = (value: string) => Array.from(value, (c) => c.charCodeAt(0));
  const u16 = (value: number) => [value & 255, value >> 8];
  const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
  const common = [...u16(channels), ...u32(sampleRate), ...u32(0), ...u16(blockAlign), ...u16(bits)];
  const fmt = extensible
    ? [...u16(0xfffe), ...common, ...u16(22), ...u16(bits), ...u32(0), ...u16(format), ...Array<number>(14).fill(0)]
    : [...u16(format), ...common];
  const before = chunkBefore ? [...text('LIST'), ...u32(3), 1, 2, 3, 0] : [];
  return Uint8Array.from([
    ...text(tag),
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
    ['a data size of zero before samples', { dataSize: 0, data: bytes(Int16Array.of(16384)) }, [0.5]],
    [
      'a frame size that no sample fits into',
      { blockAlign: 1, data: bytes(Int16Array.of(16384, 1)) },
      [0.5, 1 / 32768],
    ],
    ['RF64', { tag: 'RF64', dataSize: 0xffffffff, data: bytes(Int16Array.of(16384)) }, [0.5]],
    [
      '24 bits at the low end of 4 bytes',
      { bits: 24, blockAlign: 4, data: bytes(Int32Array.of(4194304, -8388608, 0, -1)) },
      [0.5, -1, 0, -(2 ** -23)],
    ],
    [
      '24 bits at the high end of 4 bytes',
      { bits: 24, blockAlign: 4, data: bytes(Int32Array.of(2 ** 30, -(2 ** 31), 256)) },
      [0.5, -1, 2 ** -23],
    ],
    ['16 bits at the low end of 4 bytes', { blockAlign: 4, data: bytes(Int32Array.of(16384, -32768)) }, [0.5, -1]],
    [
      '16 bits at the high end of 4 bytes',
      { blockAlign: 4, data: bytes(Int32Array.of(2 ** 30, 65536)) },
      [0.5, 2 ** -15],
    ],
    [
      'two channels of 24 bits in 8 bytes',
      { bits: 24, channels: 2, blockAlign: 8, data: bytes(Int32Array.of(4194304, 0, 1, -1)) },
      [0.25, 0],
    ],
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
    ['a note that is cut off', wav({ chunkBefore: true, data: [1, 2] }).slice(0, 22), '3 bytes with 2 bytes left'],
    [
      'frames of stray bytes',
      wav({ bits: 24, blockAlign: 4, data: [9, 9, 9, 9] }),
      'frames of 4 bytes for 1 channels of 24',
    ],
    [
      'frames for more channels',
      wav({ bits: 32, blockAlign: 8, data: bytes(Int32Array.of(1, 1)) }),
      'frames of 8 bytes',
    ],
    ['frames that no channels share', wav({ channels: 3, blockAlign: 10, data: [1, 2] }), 'frames of 10 bytes'],
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
    ['extensible, behind another chunk', wav({ extensible: true, chunkBefore: true, data: pcm }), 2],
    ['of floats', wav({ format: 3, bits: 32, channels: 2, data: bytes(randoms(500, 5)) }), 8],
    ['of 8 bits', wav({ bits: 8, data: pcm }), 1],
  ] as const;

  it('is refused where its header is cut off, and gives the samples there are where its sound is', async () => {
    const files = [['a recording', await recording(), 2] as const, ...KINDS];
    for (const [kind, file, frameBytes] of files) {
      const { samples } = readWav(file);
      const start = file.length - frameBytes * samples.length;
      const samplesIn = (cut: Uint8Array) => Math.floor((cut.length - start) / frameBytes);
      const cuts = [...truncations(file)];
      const tooShort = cuts.filter(({ bytes: cut }) => samplesIn(cut) < 1);
      await expectRefused(tooShort, read, limits);
      for (const { what, bytes: cut } of cuts.filter((each) => !tooShort.includes(each))) {
        const { samples: there, missingBytes } = readWav(cut);
        expectSameBytes(there, samples.subarray(0, samplesIn(cut)), `${kind}, ${what}`);
        expect(missingBytes, `${kind}, ${what}`).toBe(file.length - cut.length);
      }
    }
  });

  it.each(KINDS)('%s survives flipped bits and hostile lengths', async (_, file) => {
    expect(await expectSurvived(bitFlipsAt(file, Array(80).keys()), read, limits)).toBeGreaterThan(50);
    expect(await expectSurvived(hostileLengthsAt(file, Array(80).keys()), read, limits)).toBeGreaterThan(500);
  });
});

describe('the sizes in a WAV file', () => {
  const pcm = bytes(Int16Array.of(16384, -16384));

  it.each([2_000_000_000, 0xffffffff, 0xffffff00, 0xffffffdb, 0x80000000, 0x7fffffff, 0x7fffff00, 0x7ffff000])(
    'of %i bytes of sound are placeholders where the file is shorter',
    (dataSize) => {
      const { samples, missingBytes } = readWav(wav({ dataSize, data: pcm }));
      expect([...samples]).toEqual([0.5, -0.5]);
      // The largest says only that the size is not known.
      expect(missingBytes).toBe(dataSize === 0xffffffff ? undefined : dataSize - 4);
    },
  );

  it('are as stated where something comes behind the sound', () => {
    const note = [...bytes(new TextEncoder().encode('LIST')), 4, 0, 0, 0, 1, 2, 3, 4];
    expect(readWav(wav({ dataSize: 2, data: [...pcm.slice(0, 2), ...note] })).samples).toHaveLength(1);
  });

  it('of zero, never brought up to date, are those of the rest of the file, also where it begins in silence', () => {
    const silence = Array<number>(32).fill(0);
    expect(readWav(wav({ dataSize: 0, data: silence })).samples).toHaveLength(16);
    expect(readWav(wav({ dataSize: 0, data: [...silence, ...pcm] })).samples).toHaveLength(18);
  });

  it('are missing from no whole file', async () => {
    expect(await sample('alexa')).not.toHaveProperty('missingBytes');
  });
});

describe('a recording in another writing', () => {
  it('of 24 bits in 4 bytes, or of a placeholder’s size, is the same sound', async () => {
    const { samples } = await sample('computer');
    const whole = Int16Array.from(samples, (value) => 32768 * value);
    const wide = { bits: 24, blockAlign: 4, data: bytes(Int32Array.from(whole, (value) => 256 * value)) };
    expectSameBytes(readWav(wav(wide)).samples, samples, '24 bits');
    expectSameBytes(readWav(wav({ dataSize: 2_000_000_000, data: bytes(whole) })).samples, samples, 'streamed');
  });
});

describe('WavStream', () => {
  const inPieces = (file: Uint8Array, size: number) => {
    const stream = new WavStream();
    const samples: number[] = [];
    for (let at = 0; at < file.length; at += size) {
      samples.push(...stream.accept(file.subarray(at, at + size)));
    }
    return { samples, sampleRate: stream.sampleRate, ...stream.finish() };
  };
  const data = bytes(randoms(64, 9));

  it.each([
    ['floats of two channels', { format: 3, bits: 32, channels: 2, data }],
    ['24 bits behind another chunk', { bits: 24, chunkBefore: true, data: data.slice(0, 255) }],
    ['16 bits, extensible', { extensible: true, data }],
  ])('gives what the whole file gives, in any pieces: %s', (_, options) => {
    const file = wav(options);
    for (const size of [1, 7, 44, 45, 1000]) {
      expect(inPieces(file, size)).toEqual({
        samples: [...readWav(file).samples],
        sampleRate: 16000,
        missingBytes: 0,
      });
    }
  });

  it('ends where the header says, and says what is missing', () => {
    const stream = new WavStream();
    expect(stream.seconds).toBeUndefined();
    expect([...stream.accept(wav({ dataSize: 2, data: [0, 64, 1, 2, 3, 4] }))]).toEqual([0.5]);
    expect(stream.isComplete).toBe(true);
    expect(stream.seconds).toBe(1 / 16_000);
    expect(stream.accept(Uint8Array.of(0, 64))).toHaveLength(0);
    expect(inPieces(wav({ dataSize: 100, data: [0, 64] }), 5)).toMatchObject({ samples: [0.5], missingBytes: 98 });
  });

  it.each([0, 0xffffffff])('of a size of %i lasts as long as pieces come', (dataSize) => {
    expect(inPieces(wav({ dataSize, data: [0, 64, 0, 64, 7] }), 3)).toMatchObject({
      samples: [0.5, 0.5],
      missingBytes: 0,
    });
  });

  it('refuses what is no WAV file, what ends in its header, and a header without end', async () => {
    expect(await failure('bad-audio', () => inPieces(new TextEncoder().encode('ID3 this is an mp3'), 5))).toContain(
      'ID3',
    );
    expect(await failure('bad-audio', () => inPieces(wav({}).slice(0, 30), 5))).toContain('left in the file');
    expect(await failure('bad-audio', () => inPieces(new Uint8Array(0), 5))).toContain('empty');
    const endless = wav({ chunkBefore: true });
    new DataView(endless.buffer).setUint32(16, 0x7fffffff, true);
    expect(await failure('bad-audio', () => new WavStream().accept(endless))).toContain('2147483647 bytes');
    const wide = wav({ bits: 24, blockAlign: 4, data: [0, 0, 0, 0] });
    expect(await failure('bad-audio', () => inPieces(wide, 5))).toContain('frames of 4 bytes');
  });
});

describe('IMA ADPCM', () => {
  /** A block that begins with 1000, at the smallest step: up by 7 + 3 + 1, down by 16 / 8 + 16 / 4, and so on. */
  const block = [232, 3, 0, 0, 0x97, 0x80];
  const adpcm = (data: number[], more: WavOptions = {}) =>
    wav({ format: 17, bits: 4, blockAlign: block.length, data, ...more });

  it('is decoded block by block, by the steps of its table', () => {
    const decoded = [1000, 1011, 1005, 1006, 1005];
    const { samples } = readWav(adpcm([...block, ...block.slice(0, 5)]));
    expect(Array.from(samples, (sample) => 32768 * sample)).toEqual([...decoded, ...decoded.slice(0, 3)]);
  });

  it('is refused with two channels, and in blocks that have no room for samples', async () => {
    await failure('bad-audio', () => readWav(adpcm(block, { channels: 2 })));
    await failure('bad-audio', () => readWav(adpcm(block, { blockAlign: 4 })));
  });

  it('is what the speech that comes with the project is stored in', async () => {
    const { samples, sampleRate } = await openNegativeSpeech();
    expect(sampleRate).toBe(16_000);
    expect(samples.length / sampleRate).toBeGreaterThan(335);
    // Neither clipped nor drifting away.
    expect(samples.reduce((sum, sample) => sum + Math.abs(sample), 0) / samples.length).toBeLessThan(0.1);
    expect(Math.abs(samples.reduce((sum, sample) => sum + sample, 0)) / samples.length).toBeLessThan(1e-3);
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
