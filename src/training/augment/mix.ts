import { amplified, levelOf } from './level.ts';

/** Both at once, as long as `samples`; where `other` is shorter, silence follows it. A copy. */
export const mixed = (samples: Float32Array, other: Float32Array): Float32Array<ArrayBuffer> =>
  samples.map((sample, i) => sample + (other[i] ?? 0));

/**
 * Other speech behind what is said.
 *
 * @param samples (n,) what is said
 * @param other other speech at the same sample rate; where it ends it begins again
 * @param below by how many dB the other speech is quieter than what is said, both by their root mean square
 * @param start the sample of the other speech that the mix begins with
 * @returns (n,); a copy of `samples` where one of both is silent
 */
export function withOtherSpeech(
  samples: Float32Array,
  other: Float32Array,
  { below, start }: { below: number; start: number },
): Float32Array<ArrayBuffer> {
  const heard = samples.map((_, i) => other[(start + i) % other.length] ?? 0);
  const [level, otherLevel] = [levelOf(samples), levelOf(heard)];
  const isSilent = level === -Infinity || otherLevel === -Infinity;
  return isSilent ? Float32Array.from(samples) : mixed(samples, amplified(heard, level - below - otherLevel));
}
