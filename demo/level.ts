/** How loud it is: a meter, and a ring around the button that listens. */
import { element } from './elements.ts';

/** The level at which the meter begins. */
const QUIETEST_DB = -60;
/** What is left of a level with the next piece of sound: it rises at once and falls slowly. */
const DECAY = 0.85;

export class Level {
  readonly #meter = element('level', HTMLMeterElement);
  readonly #button = element('microphone', HTMLElement);

  /** @param samples (n,) in [-1, 1] */
  add(samples: Float32Array): void {
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length);
    const decibels = 10 * Math.log10(power + 1e-12);
    this.#show(Math.max(1 - decibels / QUIETEST_DB, DECAY * this.#meter.value));
  }

  clear(): void {
    this.#show(0);
  }

  #show(level: number): void {
    this.#meter.value = level;
    this.#button.style.setProperty('--level', this.#meter.value.toFixed(2));
  }
}
