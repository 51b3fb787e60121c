import { describe, expect, it } from 'vitest';
import { Randoms } from '../../../src/training/augment/randoms.ts';
import {
  ICEFALL_SPEC_AUGMENT,
  PHRASE_SPEC_AUGMENT,
  specAugment,
  type SpecAugmentOptions,
} from '../../../src/training/augment/spec-augment.ts';
import { SITES } from '../../../src/training/draws.ts';
import { randoms } from '../../support/random.ts';

const BINS = 80;

/** Bins and frames that are masked as a whole in one utterance of `frames` frames. */
function masksOf(utterance: number, frames: number, options: SpecAugmentOptions) {
  const features = randoms(frames * BINS, 1);
  const from = new Randoms({ seed: 9, microStep: 0 }, SITES.specAugment, utterance);
  const masked = specAugment(from, features, BINS, options);
  const mean = Math.fround(features.reduce((sum, value) => sum + value, 0) / features.length);
  const bins = new Set(Array.from({ length: BINS }, (_, f) => f));
  const stretches = new Set(Array.from({ length: frames }, (_, t) => t));
  for (let t = 0; t < frames; t++) {
    for (let f = 0; f < BINS; f++) {
      if (masked[t * BINS + f] !== mean) {
        bins.delete(f);
        stretches.delete(t);
      }
    }
  }
  // All else is as it was.
  const isRest = (at: number) => !bins.has(at % BINS) && !stretches.has(Math.floor(at / BINS));
  const hasChanged = masked.some((value, at) => value !== features[at] && isRest(at));
  return { bins: bins.size, frames: stretches.size, hasChanged };
}

const UTTERANCES = Array.from({ length: 200 }, (_, n) => n);

describe('specAugment', () => {
  it("masks bands and stretches as lhotse does with icefall's settings", () => {
    const all = UTTERANCES.map((n) => masksOf(n, 120, ICEFALL_SPEC_AUGMENT));
    expect(all.filter(({ hasChanged }) => hasChanged)).toEqual([]);
    // One stretch of at most 0.15 * 120 - 1 frames, two bands of at most 26 bins.
    expect(Math.max(...all.map(({ frames }) => frames))).toBe(17);
    expect(Math.max(...all.map(({ bins }) => bins))).toBeLessThanOrEqual(52);
    const masked = all.filter(({ bins, frames }) => bins + frames > 0);
    // 0.9, and five standard deviations of 200 draws; now and then all masks are empty.
    expect(Math.abs(masked.length / all.length - 0.9)).toBeLessThan(0.11);
    const mean = masked.reduce((sum, { frames }) => sum + frames, 0) / masked.length;
    expect(Math.abs(mean - 8.5)).toBeLessThan((5 * 5.2) / Math.sqrt(masked.length));
  });

  it('divides 15 % of long utterances between more stretches', () => {
    const all = UTTERANCES.slice(0, 20).map((n) => masksOf(n, 1500, ICEFALL_SPEC_AUGMENT));
    const most = Math.max(...all.map(({ frames }) => frames));
    // Three stretches of at most 74 frames.
    expect(most).toBeGreaterThan(74);
    expect(most).toBeLessThanOrEqual(3 * 74);
  });

  it('masks one band and one stretch of utterances of a phrase, half of them', () => {
    const all = UTTERANCES.map((n) => masksOf(n, 60, PHRASE_SPEC_AUGMENT));
    const masked = all.filter(({ bins }) => bins > 0);
    expect(Math.abs(masked.length / all.length - 0.5)).toBeLessThan(5 * 0.036);
    const range = (values: number[]) => [Math.min(...values), Math.max(...values)];
    expect(range(masked.map(({ bins }) => bins))).toEqual([1, 9]);
    expect(range(masked.map(({ frames }) => frames))).toEqual([1, 8]);
    expect(all.filter(({ bins, frames }) => bins === 0 && frames > 0)).toEqual([]);
  });

  it('takes utterances of any length, and gives the same each time', () => {
    for (const frames of [0, 1, 3, 7]) {
      const features = randoms(frames * BINS, 1);
      const made = () =>
        specAugment(new Randoms({ seed: 1, microStep: 0 }, SITES.specAugment, 0), features, BINS, {
          ...ICEFALL_SPEC_AUGMENT,
          probability: 1,
        });
      expect(made()).toEqual(made());
      expect(made()).toHaveLength(features.length);
    }
  });
});
