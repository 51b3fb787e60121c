import { describe, expect, it } from 'vitest';
import { FBANK_DEFAULTS, Fbank, fbank, type FbankOptions } from '../../src/features/fbank.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { readArray, readFixture, sample } from '../support/fixtures.ts';
import { randoms } from '../support/random.ts';

/** Kaldi's text has 7 digits; its float32 differs by 6e-5 at the median, 0.03 in near-silent bins (golden/fbank/README.md). */
const KALDI = { median: 1e-4, largest: 0.05 };
/** PyTorch computed the model's features in float32; in near-silent bins that shows in the fourth digit. */
const MODEL = { median: 1e-6, largest: 1e-3 };

/** Kept samples and features are float32, of values up to 10. */
const TWIN = 1e-5;

/** Log-mel features by their definition (Kaldi's feature-window.cc, mel-computations.cc), one frame after another. */
function plainFbank(samples: Float32Array, options: FbankOptions): number[] {
  const { sampleRate, numMelBins, preemphasis, lowFreq, highFreq } = options;
  const length = (sampleRate * options.frameLengthMs) / 1000;
  const shift = (sampleRate * options.frameShiftMs) / 1000;
  const fftSize = 2 ** Math.ceil(Math.log2(length));
  const windows = {
    rectangular: () => 1,
    hanning: (phase: number) => 0.5 - 0.5 * Math.cos(phase),
    hamming: (phase: number) => 0.54 - 0.46 * Math.cos(phase),
    povey: (phase: number) => (0.5 - 0.5 * Math.cos(phase)) ** 0.85,
  };
  const mel = (hertz: number) => 1127 * Math.log(1 + hertz / 700);
  const edges = [mel(lowFreq), mel(highFreq > 0 ? highFreq : sampleRate / 2 + highFreq)];
  const edge = (i: number) => edges[0] + (i * (edges[1] - edges[0])) / (numMelBins + 1);
  const features: number[] = [];
  for (let start = 0; start + length <= samples.length; start += shift) {
    const raw = [...samples.subarray(start, start + length)];
    const mean = options.removeDcOffset ? raw.reduce((sum, value) => sum + value, 0) / length : 0;
    const centred = raw.map((value) => value - mean);
    const frame = centred.map((value, i) => {
      const phase = (2 * Math.PI * i) / (length - 1);
      return (value - preemphasis * centred[Math.max(0, i - 1)]) * windows[options.window](phase);
    });
    const spectrum = Array.from({ length: fftSize / 2 }, (_, k) => {
      const part = (wave: (x: number) => number) =>
        frame.reduce((sum, value, i) => sum + value * wave((2 * Math.PI * i * k) / fftSize), 0);
      const power = part(Math.cos) ** 2 + part(Math.sin) ** 2;
      return options.usePower ? power : Math.sqrt(power);
    });
    for (let bin = 0; bin < numMelBins; bin++) {
      const energy = spectrum.reduce((sum, value, k) => {
        const at = mel((k * sampleRate) / fftSize);
        const rise = (at - edge(bin)) / (edge(bin + 1) - edge(bin));
        const fall = (edge(bin + 2) - at) / (edge(bin + 2) - edge(bin + 1));
        return sum + value * Math.max(0, Math.min(rise, fall));
      }, 0);
      features.push(Math.log(Math.max(energy, 2 ** -23)));
    }
  }
  return features;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

describe('fbank', () => {
  it.each([
    ['kaldi-test-40.txt', true],
    ['kaldi-test-40-no-snip-edges.txt', false],
  ])('agrees with Kaldi: %s', async (file, snipEdges) => {
    const { samples } = readWav(await readFixture('golden/fbank/kaldi-test.wav'));
    const scaled = samples.map((value) => 32768 * value);
    const actual = fbank(scaled, { numMelBins: 40, highFreq: 0, snipEdges });
    const text = new TextDecoder().decode(await readFixture(`golden/fbank/${file}`));
    const expected = text
      .slice(text.indexOf('[') + 1, text.indexOf(']'))
      .trim()
      .split(/\s+/)
      .map(Number);
    expect(median(expected.map((value, i) => Math.abs(value - actual[i])))).toBeLessThan(KALDI.median);
    expect(largestDifference(actual, expected)).toBeLessThan(KALDI.largest);
  });

  it.each(['computer', 'jarvis', 'smart-mirror', 'stream'])('agrees with the model’s features of %s', async (clip) => {
    const { samples } = await sample(clip);
    const actual = fbank(samples);
    const { data: expected, shape } = await readArray(`wake-words/golden/${clip}.features.npy`);
    expect(actual.length).toBe(shape[0] * shape[1]);
    expect(median([...expected].map((value, i) => Math.abs(value - actual[i])))).toBeLessThan(MODEL.median);
    expect(largestDifference(actual, expected)).toBeLessThan(MODEL.largest);
  });

  it.each([0, 1, 79, 80, 159, 160, 279, 280, 400, 5000, 16037])(
    'gives the same bytes in any split: %i samples',
    (length) => {
      const samples = randoms(length, length + 1, 0.5);
      for (const snipEdges of [false, true]) {
        const expected = fbank(samples, { snipEdges });
        const frames = snipEdges ? Math.max(0, Math.floor((length - 400) / 160) + 1) : Math.floor((length + 80) / 160);
        expect(expected.length).toBe(80 * frames);
        for (const size of [1, 37, 160, 1000]) {
          const stream = new Fbank({ snipEdges });
          const parts: Float32Array[] = [];
          for (let at = 0; at < length; at += size) {
            parts.push(stream.accept(samples.subarray(at, at + size)));
          }
          parts.push(stream.finish());
          expectSameBytes(Float32Array.from(parts.flatMap((part) => [...part])), expected, `pieces of ${size}`);
        }
      }
    },
  );

  it.each<Partial<FbankOptions>>([
    {},
    { window: 'hanning' },
    { window: 'hamming' },
    { window: 'rectangular' },
    { usePower: false },
    { removeDcOffset: false },
    { preemphasis: 0 },
    { frameLengthMs: 20, frameShiftMs: 8 },
    { lowFreq: 100, highFreq: 3800, sampleRate: 8000 },
  ])('agrees with a plain float64 version: %j', (changes) => {
    const options = { ...FBANK_DEFAULTS, numMelBins: 23, snipEdges: true, ...changes };
    const samples = randoms(1000, 6).map((value, i) => 0.3 + value * Math.sin(i / 7));
    const actual = fbank(samples, options);
    const expected = plainFbank(samples, options);
    expect(actual).toHaveLength(expected.length);
    expect(largestDifference(actual, Float64Array.from(expected))).toBeLessThan(TWIN);
  });

  it('has every sample that an odd frame reaches back to', () => {
    const options = { sampleRate: 11025, frameLengthMs: 25, frameShiftMs: 20, numMelBins: 23, snipEdges: false };
    for (let length = 3900; length < 4200; length++) {
      const stream = new Fbank(options);
      stream.accept(randoms(length, 3, 0.5));
      expect(stream.finish().every(Number.isFinite), `${length} samples`).toBe(true);
    }
  });

  it('floors silence at the logarithm of float32’s epsilon', () => {
    const silence = fbank(new Float32Array(1600));
    expect(new Set(silence)).toEqual(new Set([Math.fround(Math.log(2 ** -23))]));
  });

  it('refuses a band beyond Nyquist', async () => {
    await failure('bad-argument', () => new Fbank({ highFreq: 9000 }));
    await failure('bad-argument', () => new Fbank({ lowFreq: 5000, highFreq: 4000 }));
  });
});
