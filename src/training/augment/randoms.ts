import type { DrawStep } from '../draws.ts';
import { normals, seedKey, unit, wordsAt, type Coordinates } from '../philox.ts';

/** Random numbers one after the other, the same each time for one seed, site, utterance and micro-batch. */
export class Randoms {
  readonly #key: readonly [number, number];
  readonly #coordinates: Coordinates;
  #words = new Uint32Array(0);
  #used = 0;
  #blocks = 0;
  #normal: number | undefined;

  /**
   * @param site what is drawn: one of SITES
   * @param utterance its place in the micro-batch, below 2^16
   */
  constructor({ seed, microStep }: DrawStep, site: number, utterance: number) {
    this.#key = seedKey(seed);
    this.#coordinates = { site, utterance, frame: 0, microStep };
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    if (this.#used === this.#words.length) {
      this.#words = wordsAt(this.#key, this.#coordinates, this.#blocks++);
      this.#used = 0;
    }
    return this.#words[this.#used++];
  }

  /** A number above `low` and below `high`. */
  uniform(low: number, high: number): number {
    return low + (high - low) * unit(this.word());
  }

  /** A whole number from `low` to `high` - 1. */
  integer(low: number, high: number): number {
    return low + Math.floor((this.word() * (high - low)) / 2 ** 32);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return unit(this.word()) < probability;
  }

  /** A normal deviate, mean 0 and variance 1. */
  normal(): number {
    const kept = this.#normal;
    if (kept !== undefined) {
      this.#normal = undefined;
      return kept;
    }
    const [first, second] = normals(this.word(), this.word());
    this.#normal = second;
    return first;
  }
}
