/** How loud audio is, in dB: root mean square, 0 dB for samples that are all 1 or -1. */

const ratioOf = (decibels: number) => 10 ** (decibels / 20);

/** In dB; -Infinity for silence and for no samples. */
export function levelOf(samples: Float32Array): number {
  let squares = 0;
  for (const sample of samples) {
    squares += sample ** 2;
  }
  return 10 * Math.log10(squares / Math.max(1, samples.length));
}

/** Louder by so many dB, or quieter where they are negative; a copy. */
export function amplified(samples: Float32Array, decibels: number): Float32Array<ArrayBuffer> {
  const ratio = ratioOf(decibels);
  return samples.map((sample) => sample * ratio);
}

/** At this level; a copy. Silence stays silence. */
export function atLevel(samples: Float32Array, decibels: number): Float32Array<ArrayBuffer> {
  const level = levelOf(samples);
  return level === -Infinity ? Float32Array.from(samples) : amplified(samples, decibels - level);
}
