import { expect, it } from 'vitest';
import { KeptAudio } from '../../src/server/kept-audio.ts';

it('keeps audio from a moment on, to the sample, and forgets what is before', () => {
  const kept = new KeptAudio();
  expect(kept.from(0)).toBeUndefined();
  [[1, 2], [3, 4, 5], [6]].forEach((samples) => {
    kept.add({ samples: Float32Array.from(samples), sampleRate: 1000 });
  });
  expect(kept.from(0)?.samples).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
  kept.dropBefore(0.003);
  expect(kept.from(0.003)).toEqual({ samples: Float32Array.of(4, 5, 6), sampleRate: 1000 });
  expect(kept.from(0.006)).toBeUndefined();
});
