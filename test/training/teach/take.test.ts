import { describe, expect, it } from 'vitest';
import { checkTake } from '../../../src/training/teach/take.ts';
import { randoms } from '../../support/random.ts';
import { failure } from '../../support/failure.ts';

const RATE = 8000;

/** Two seconds of faint noise with tones in it: from, to (seconds), amplitude. */
function recording(tones: readonly (readonly [from: number, to: number, amplitude: number])[], seconds = 2) {
  const samples = randoms(seconds * RATE, 1, 1e-3);
  for (const [from, to, amplitude] of tones) {
    for (let i = Math.round(from * RATE); i < to * RATE; i++) {
      samples[i] += amplitude * Math.sin(0.5 * i);
    }
  }
  return { samples, sampleRate: RATE };
}

/** Of energy in frames of 20 ms, one every 10 ms. */
const ACCURACY = 0.025;

describe('checkTake', () => {
  it('finds the phrase, its pauses bridged, and nothing of what is far from it', () => {
    const take = checkTake(
      recording([
        [0.2, 0.22, 0.3], // a click
        [0.6, 0.8, 0.3],
        [1, 1.3, 0.05],
        [1.9, 1.95, 0.2],
      ]),
    );
    expect(take.problem).toBeUndefined();
    expect(Math.abs(take.start - 0.6)).toBeLessThan(ACCURACY);
    expect(Math.abs(take.end - 1.3)).toBeLessThan(ACCURACY);
    expect(take.level).toBeCloseTo(20 * Math.log10(0.3 * Math.SQRT1_2), 0);
  });

  it.each([
    ['silent', recording([])],
    ['silent', { samples: new Float32Array(RATE), sampleRate: RATE }],
    ['silent', { samples: new Float32Array(0), sampleRate: RATE }],
    ['too-short', recording([[0.6, 0.8, 0.3]])],
    ['too-long', recording([[0.5, 3.8, 0.3]], 4)],
    [
      'several',
      recording(
        [
          [0.3, 0.9, 0.2],
          [1.6, 2.1, 0.3],
        ],
        3,
      ),
    ],
    [
      'clipped',
      {
        ...recording([[0.6, 1.2, 0.9]]),
        samples: recording([[0.6, 1.2, 2]]).samples.map((x) => Math.max(-1, Math.min(1, x))),
      },
    ],
  ] as const)('refuses what is %s', (problem, waveform) => {
    expect(checkTake(waveform).problem).toBe(problem);
  });

  it('finds speech that fills a whole recording', () => {
    const { start, end, problem } = checkTake(recording([[0, 1, 0.3]], 1));
    expect([start, end, problem]).toEqual([0, 1, undefined]);
  });

  it('refuses what is no audio', async () => {
    await failure('bad-audio', () => checkTake({ samples: Float32Array.of(NaN), sampleRate: RATE }));
  });
});
