/** How loud it is: a meter, and a ring around the button that listens. */

/** The level at which the meter begins. */
const QUIETEST_DB = -60;
/** What is left of a level with the next piece of sound: it rises at once and falls slowly. */
const DECAY = 0.85;

/** The level of a piece of sound in dB of full scale. */
export function levelOf(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length);
  return 10 * Math.log10(power + 1e-12);
}

export class Level {
  readonly #meter: HTMLMeterElement;
  readonly #button: HTMLElement;

  constructor(meter: HTMLMeterElement, button: HTMLElement) {
    this.#meter = meter;
    this.#button = button;
  }

  /** @param samples (n,) in [-1, 1] */
  add(samples: Float32Array): void {
    this.#show(Math.max(1 - levelOf(samples) / QUIETEST_DB, DECAY * this.#meter.value));
  }

  clear(): void {
    this.#show(0);
  }

  #show(level: number): void {
    this.#meter.value = level;
    this.#button.style.setProperty('--level', this.#meter.value.toFixed(2));
  }
}
