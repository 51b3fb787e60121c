import { concatenated } from '../waveform/arrays.ts';
import type { Waveform } from '../waveform/waveform.ts';

/** Audio of a session that may have to be heard again, all of one rate; times in seconds from the session's start. */
export class KeptAudio {
  #pieces: { audio: Waveform; end: number }[] = [];
  #end = 0;

  add(audio: Waveform): void {
    this.#end += audio.samples.length / audio.sampleRate;
    this.#pieces.push({ audio, end: this.#end });
  }

  /** Forgets pieces that end before. */
  dropBefore(seconds: number): void {
    this.#pieces = this.#pieces.filter(({ end }) => end > seconds);
  }

  /** All from there on, as one piece; nothing where there is none. */
  from(seconds: number): Waveform | undefined {
    const kept = this.#pieces.filter(({ end }) => end > seconds).map(({ audio }) => audio);
    if (kept.length === 0) {
      return undefined;
    }
    const [{ sampleRate }] = kept;
    const samples = concatenated(kept.map((audio) => audio.samples));
    const wanted = Math.round((this.#end - seconds) * sampleRate);
    return { samples: samples.subarray(Math.max(0, samples.length - wanted)), sampleRate };
  }
}
