import { describe, expect, it } from 'vitest';
import { FBANK_DEFAULTS } from '../../../src/features/fbank.ts';
import { Randoms } from '../../../src/training/augment/randoms.ts';
import { isSpike } from '../../../src/training/losses/targets.ts';
import { STREAMED_SHARE } from '../../../src/training/teach/recipe.ts';
import { SegmentMaker, shortSeconds } from '../../../src/training/teach/segments.ts';
import { randoms } from '../../support/random.ts';

const sampleRate = 2000;
/** Half a second of a constant, which noise and speech are not. */
const saying = { samples: new Float32Array(2000).fill(0.5, 600, 1600), start: 0.3, end: 0.8 };
const materials = {
  ...{ sampleRate, phrases: [saying], negatives: [saying] },
  rehearsal: [{ tokens: [5, 6], sayings: [saying] }],
  speech: randoms(40_000, 3, 1e-3),
};
const maker = new SegmentMaker(materials, { blankId: 0, features: { ...FBANK_DEFAULTS, sampleRate: 16_000 } });
const drawn = (index: number) => new Randoms({ seed: 4, microStep: index }, 0x8010, 0);

describe('segments to learn from', () => {
  it('are the same for the same numbers, and all of one length', () => {
    expect(maker.phrase(drawn(1), 9)).toEqual(maker.phrase(drawn(1), 9));
    const { samples } = maker.phrase(drawn(2), 9);
    expect(samples).not.toEqual(maker.phrase(drawn(1), 9).samples);
    expect(samples).toHaveLength(4800);
    expect(maker.rehearsal(drawn(1)).target).toEqual([5, 6]);
  });

  it('have the phrase’s token from a frame before its end to eight behind, all within them', () => {
    for (let index = 0; index < 40; index++) {
      const { samples, target } = maker.phrase(drawn(index), 9);
      if (!isSpike(target)) {
        throw new Error('a phrase without a spike');
      }
      // What follows the phrase is noise of at most -38 dB.
      const end = samples.findLastIndex((sample) => Math.abs(sample) > 0.1) + 1;
      const [first, behind] = target.window;
      expect(target.token).toBe(9);
      expect(behind - first).toBe(10);
      // Up to 30 ms are cut off its end, and noise does not begin on a frame.
      expect(Math.abs(0.04 * (first + 1) - end / sampleRate)).toBeLessThan(0.08);
      expect(0.04 * behind).toBeLessThanOrEqual(2.4 + 0.04);
    }
  });

  it('say a part of the phrase, or what sounds alike, and nothing is heard of it', () => {
    const said = Array.from({ length: 60 }, (_, index) => {
      const { samples, target } = maker.short(drawn(index));
      expect(target).toEqual([]);
      return samples.filter((sample) => Math.abs(sample) > 0.1).length / sampleRate;
    });
    const begun = said.filter((seconds) => seconds > 0 && seconds < 0.35);
    const whole = said.filter((seconds) => seconds > 0.4);
    // A quarter of each; the rest is speech, which is quiet here.
    for (const share of [begun.length / 60, whole.length / 60]) {
      expect(share).toBeGreaterThan(0.1);
      expect(share).toBeLessThan(0.45);
    }
  });

  it('say in some streams the phrase, in as many what was known, and in the others nothing', () => {
    const counts = { phrase: 0, rehearsal: 0, nothing: 0 };
    for (let index = 0; index < 60; index++) {
      const { samples, target } = maker.long(drawn(index), 9);
      expect(samples).toHaveLength(12_000);
      counts[isSpike(target) ? 'phrase' : target.length > 0 ? 'rehearsal' : 'nothing']++;
    }
    for (const [kind, share] of Object.entries({
      phrase: STREAMED_SHARE,
      rehearsal: STREAMED_SHARE,
      nothing: 1 - 2 * STREAMED_SHARE,
    })) {
      expect(Math.abs(counts[kind as keyof typeof counts] / 60 - share), kind).toBeLessThan(0.2);
    }
  });

  it('are longer where a phrase is', () => {
    expect(shortSeconds(materials)).toBe(2.4);
    expect(shortSeconds({ ...materials, phrases: [{ ...saying, end: 3.1 }] })).toBeGreaterThan(3.1 / 0.88);
  });
});
