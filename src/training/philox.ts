/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): random words that depend on nothing but
 * a counter and a key. The GPU draws the same words from the same coordinates.
 */

/** What words are drawn for; each a whole number. Two draws with equal coordinates give equal words. */
export interface Coordinates {
  /** What is drawn, one of SITES (draws.ts) or a layer's: below 2^16. */
  site: number;
  /** Utterance in the micro-batch, or the layer where a whole layer is meant: below 2^16. */
  utterance: number;
  /** Frame, or the epoch where a whole epoch is meant. */
  frame: number;
  /** Micro-batches since the start of training. */
  microStep: number;
}

const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57] as const;
const KEY_STEPS = [0x9e3779b9, 0xbb67ae85] as const;
const ROUNDS = 10;

/** The upper 32 bits of a product of two words; every sum here is exact in float64. */
function multiplyHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = aHigh * bLow + aLow * bHigh + (((aLow * bLow) / 0x10000) >>> 0);
  return (aHigh * bHigh + Math.floor(middle / 0x10000)) >>> 0;
}

/**
 * @param counter four words
 * @param key two words
 * @returns four words
 */
export function philox(counter: ArrayLike<number>, key: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  let [c0, c1, c2, c3] = [counter[0], counter[1], counter[2], counter[3]];
  let [k0, k1] = [key[0], key[1]];
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = [multiplyHigh(MULTIPLIERS[0], c0), Math.imul(MULTIPLIERS[0], c0)];
    const [high1, low1] = [multiplyHigh(MULTIPLIERS[1], c2), Math.imul(MULTIPLIERS[1], c2)];
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    k0 = (k0 + KEY_STEPS[0]) | 0;
    k1 = (k1 + KEY_STEPS[1]) | 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}

/** The key of a seed, a whole number from 0 to 2^53 - 1: its lower and its upper 32 bits. */
export const seedKey = (seed: number): readonly [number, number] => [seed >>> 0, Math.floor(seed / 2 ** 32)];

/** Words 4 block to 4 block + 3 of those at `coordinates`. */
export function wordsAt(
  key: ArrayLike<number>,
  { site, utterance, frame, microStep }: Coordinates,
  block: number,
): Uint32Array<ArrayBuffer> {
  return philox([block, frame, utterance | (site << 16), microStep], key);
}

/** A word as a number above 0 and below 1. */
export const unit = (word: number) => (word + 0.5) / 2 ** 32;

/** Two normal deviates from two words: Box and Muller's. */
export function normals(first: number, second: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(unit(first)));
  const angle = 2 * Math.PI * unit(second);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}
