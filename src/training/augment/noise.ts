import { atLevel } from './level.ts';
import type { Randoms } from './randoms.ts';

/** `white` has the same power at all frequencies, `pink` half as much for each octave up. */
export type NoiseColour = 'white' | 'pink';

/**
 * First-order filters of white noise whose sum is pink to 0.05 dB, above 1/4800 of the sample rate: Paul Kellet's,
 * http://www.firstpr.com.au/dsp/pink-noise/. Each is kept * state + taken * white.
 */
const PINK_FILTERS = [
  { kept: 0.99886, taken: 0.0555179 },
  { kept: 0.99332, taken: 0.0750759 },
  { kept: 0.969, taken: 0.153852 },
  { kept: 0.8665, taken: 0.3104856 },
  { kept: 0.55, taken: 0.5329522 },
  { kept: -0.7616, taken: -0.016898 },
] as const;
const PINK_WHITE = 0.5362;
const PINK_WHITE_BEFORE = 0.115926;

function pink(white: Float32Array): Float32Array<ArrayBuffer> {
  const states = PINK_FILTERS.map(() => 0);
  let before = 0;
  return white.map((sample) => {
    let sum = PINK_WHITE * sample + PINK_WHITE_BEFORE * before;
    PINK_FILTERS.forEach(({ kept, taken }, k) => {
      states[k] = kept * states[k] + taken * sample;
      sum += states[k];
    });
    before = sample;
    return sum;
  });
}

/**
 * Noise of `length` samples.
 *
 * @param level its root mean square in dB of full scale, for example -50
 */
export function noise(
  randoms: Randoms,
  { length, colour, level }: { length: number; colour: NoiseColour; level: number },
): Float32Array<ArrayBuffer> {
  const white = new Float32Array(length).map(() => randoms.normal());
  return atLevel(colour === 'pink' ? pink(white) : white, level);
}
