/** When a take is over: something was said, and then nothing for a while; or nothing comes at all. */
import type { Waveform } from 'rill-asr';
import { levelOf } from '../level.ts';

/** dB of full scale: what is quieter is no speech. */
const SILENT_LEVEL = -50;
/** dB: what is quieter than the loudest by more is the pause behind it. */
const BELOW_LOUDEST = 15;
/** Seconds of a pause that ends a take, and those that a take lasts at most. */
const PAUSE_SECONDS = 0.8;
const LONGEST_TAKE = 5;
/** Seconds at the start that do not count: the click of the button. */
const CLICK_SECONDS = 0.1;

export class EndOfTake {
  #seconds = 0;
  #loudest = SILENT_LEVEL;
  /** Since the last sound that belongs to the phrase; none came yet where it is undefined. */
  #pause: number | undefined;

  /** Takes the next piece. @returns whether the take is over with it */
  accept({ samples, sampleRate }: Waveform): boolean {
    const length = samples.length / sampleRate;
    this.#seconds += length;
    if (this.#seconds > CLICK_SECONDS) {
      const level = levelOf(samples);
      this.#loudest = Math.max(this.#loudest, level);
      if (level > SILENT_LEVEL && level >= this.#loudest - BELOW_LOUDEST) {
        this.#pause = 0;
      } else if (this.#pause !== undefined) {
        this.#pause += length;
      }
    }
    return this.#seconds >= LONGEST_TAKE || (this.#pause ?? 0) >= PAUSE_SECONDS;
  }
}
