import FFT from 'fft.js';
import { describe, expect, it } from 'vitest';
import { SITES } from '../../../src/training/draws.ts';
import { amplified, atLevel, levelOf } from '../../../src/training/augment/level.ts';
import { mixed, withOtherSpeech } from '../../../src/training/augment/mix.ts';
import { noise, type NoiseColour } from '../../../src/training/augment/noise.ts';
import { Randoms } from '../../../src/training/augment/randoms.ts';
import { withSpeed } from '../../../src/training/augment/speed.ts';
import { expectClose } from '../../support/close.ts';
import { randoms } from '../../support/random.ts';

const STEP = { seed: 5, microStep: 2 };

const sine = (length: number, hertz: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hertz * i) / 16000));

describe('Randoms', () => {
  const words = (from: Randoms) => Array.from({ length: 9 }, () => from.word());

  it('are the same for the same place, and others for any other place', () => {
    const first = words(new Randoms(STEP, SITES.noise, 3));
    expect(words(new Randoms(STEP, SITES.noise, 3))).toEqual(first);
    for (const other of [
      new Randoms({ ...STEP, seed: 6 }, SITES.noise, 3),
      new Randoms({ ...STEP, seed: STEP.seed + 2 ** 32 }, SITES.noise, 3),
      new Randoms({ ...STEP, microStep: 3 }, SITES.noise, 3),
      new Randoms(STEP, SITES.gain, 3),
      new Randoms(STEP, SITES.noise, 4),
    ]) {
      expect(words(other).filter((word) => first.includes(word))).toEqual([]);
    }
  });

  it('are spread as they should be', () => {
    const from = new Randoms(STEP, SITES.noise, 0);
    const count = 20_000;
    const counts = new Float64Array(5);
    let [sum, squares, hits, least, most] = [0, 0, 0, Infinity, -Infinity];
    for (let k = 0; k < count; k++) {
      counts[from.integer(-2, 3) + 2]++;
      const normal = from.normal();
      sum += normal;
      squares += normal ** 2;
      hits += from.chance(0.3) ? 1 : 0;
      const uniform = from.uniform(2, 6);
      [least, most] = [Math.min(least, uniform), Math.max(most, uniform)];
    }
    // Five standard deviations each.
    const near = 5 / Math.sqrt(count);
    counts.forEach((each) => expect(Math.abs(each / count - 0.2)).toBeLessThan(0.4 * near));
    expect(Math.abs(sum / count)).toBeLessThan(near);
    expect(Math.abs(squares / count - 1)).toBeLessThan(Math.SQRT2 * near);
    expect(Math.abs(hits / count - 0.3)).toBeLessThan(0.46 * near);
    expect(least).toBeGreaterThan(2);
    expect(least).toBeLessThan(2.01);
    expect(most).toBeGreaterThan(5.99);
    expect(most).toBeLessThan(6);
  });
});

describe('levels', () => {
  it('are the root mean square in dB', () => {
    expect(levelOf(Float32Array.of(1, -1, 1))).toBe(0);
    expect(levelOf(sine(16000, 1000))).toBeCloseTo(-3.0103, 3);
    expect(levelOf(new Float32Array(4))).toBe(-Infinity);
    expect(levelOf(new Float32Array(0))).toBe(-Infinity);
  });

  it('go up and down, and to where they should be', () => {
    const samples = randoms(1000, 1);
    expect(levelOf(amplified(samples, -7)) - levelOf(samples)).toBeCloseTo(-7, 4);
    expect(levelOf(atLevel(samples, -33))).toBeCloseTo(-33, 4);
    expect(atLevel(new Float32Array(3), -33)).toEqual(new Float32Array(3));
  });
});

describe('noise', () => {
  const made = (colour: NoiseColour, length: number, utterance = 1) =>
    noise(new Randoms(STEP, SITES.noise, utterance), { length, colour, level: -40 });

  /** Mean power in eight octaves from 1/512 of the sample rate on, in dB, each seen in 8 times 16384 samples. */
  function octaves(colour: NoiseColour): number[] {
    const size = 16384;
    const fft = new FFT(size);
    const powers = new Float64Array(8);
    for (let utterance = 0; utterance < 8; utterance++) {
      const spectrum = fft.createComplexArray() as number[];
      fft.realTransform(spectrum, [...made(colour, size, utterance)]);
      powers.forEach((_, octave) => {
        const first = (size / 512) * 2 ** octave;
        for (let bin = first; bin < 2 * first; bin++) {
          powers[octave] += (spectrum[2 * bin] ** 2 + spectrum[2 * bin + 1] ** 2) / first;
        }
      });
    }
    return [...powers].map((power) => 10 * Math.log10(power));
  }

  it.each<[NoiseColour, number]>([
    ['white', 0],
    ['pink', 10 * Math.log10(0.5)],
  ])('is at its level, and spread over frequencies as %s noise is', (colour, slope) => {
    expect(levelOf(made(colour, 1000))).toBeCloseTo(-40, 3);
    const found = octaves(colour);
    const [middle] = found.slice(4);
    const expected = found.map((_, octave) => middle + slope * (octave - 4));
    // Five standard deviations where there are the fewest powers, 256.
    expectClose(found, expected, { absolute: (5 * 4.34) / Math.sqrt(256), relative: 0 }, colour);
  });

  it('is the same for the same utterance, another for another', () => {
    expect(made('pink', 100)).toEqual(made('pink', 100));
    expect(made('pink', 100)).not.toEqual(made('pink', 100, 2));
  });
});

describe('mixing', () => {
  it('adds, and lets silence follow what is shorter', () => {
    expect(mixed(Float32Array.of(1, 2, 3), Float32Array.of(4, 5))).toEqual(Float32Array.of(5, 7, 3));
  });

  it('has other speech so many dB below, from where it is to begin and round to its beginning', () => {
    const [samples, other] = [randoms(500, 1), randoms(300, 2, 0.1)];
    const both = withOtherSpeech(samples, other, { below: 12, start: 250 });
    const behind = both.map((value, i) => value - samples[i]);
    expect(levelOf(behind) - levelOf(samples)).toBeCloseTo(-12, 3);
    const ratio = behind[0] / other[250];
    const expected = behind.map((_, i) => ratio * other[(250 + i) % 300]);
    expectClose(behind, expected, { absolute: 1e-6, relative: 0 });
  });

  it('leaves alone what silence would be mixed with', () => {
    const samples = randoms(10, 1);
    for (const silent of [new Float32Array(4), new Float32Array(0)]) {
      expect(withOtherSpeech(samples, silent, { below: 6, start: 0 })).toEqual(samples);
    }
    expect(withOtherSpeech(new Float32Array(10), samples, { below: 6, start: 0 })).toEqual(new Float32Array(10));
  });
});

describe('withSpeed', () => {
  it.each([0.88, 1, 1.1])('says all in 1/%f of the time, and as much higher', (factor) => {
    const { samples, sampleRate } = withSpeed({ samples: sine(4000, 500), sampleRate: 16000 }, factor);
    expect(sampleRate).toBe(16000);
    expect(samples.length).toBe(Math.ceil(4000 / factor));
    const inside = (values: Float32Array) => values.subarray(50, -50);
    // A windowed sinc of six zero crossings.
    expectClose(inside(samples), inside(sine(samples.length, 500 * factor)), { absolute: 5e-3, relative: 0 });
  });
});
