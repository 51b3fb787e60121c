/** In one sentence: what it runs on, and how fast. */
import type { RecognizerInfo } from 'rill-asr';
import { setText } from './elements.ts';
import { kindName } from './engine.ts';
import { say } from './strings.ts';

/** A sentence that changes faster cannot be read. */
const HOLD_MS = 500;

export class Speed {
  readonly #info: () => RecognizerInfo | undefined;
  #factor = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param info what is loaded now */
  constructor(info: () => RecognizerInfo | undefined) {
    this.#info = info;
  }

  /** Forgets the speed of the model before. */
  clear(): void {
    this.#factor = 0;
    this.sayAgain();
  }

  /** @param factor computing time over time of audio; 0 where nothing is decoded yet */
  show(factor: number): void {
    this.#factor = factor;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.sayAgain();
    }, HOLD_MS);
  }

  sayAgain(): void {
    const info = this.#info();
    setText('speed', info ? this.#sentence(kindName(info.device.kind)) : '');
  }

  #sentence(engine: string): string {
    if (this.#factor === 0) {
      return say('speedUnknown', { engine });
    }
    const isFaster = this.#factor < 1;
    const times = isFaster ? 1 / this.#factor : this.#factor;
    return say(isFaster ? 'faster' : 'slower', { engine, times: times.toFixed(times < 10 ? 1 : 0) });
  }
}
