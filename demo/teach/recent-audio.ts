/** The last seconds of a stream, from which a piece can be cut. */
import type { Waveform } from 'rill-asr';

/** How much is kept: keywords are told of a second or two behind their sound. */
const KEPT_SECONDS = 10;

export class RecentAudio {
  #pieces: Float32Array[] = [];
  #sampleRate = 0;
  /** Samples before the first piece that is kept, and all samples that came. */
  #dropped = 0;
  #count = 0;

  add({ samples, sampleRate }: Waveform): void {
    this.#sampleRate = sampleRate;
    this.#pieces.push(samples);
    this.#count += samples.length;
    while (this.#count - this.#dropped - this.#pieces[0].length >= KEPT_SECONDS * sampleRate) {
      this.#dropped += this.#pieces[0].length;
      this.#pieces.shift();
    }
  }

  /** @param start seconds from the start of the stream, as `end`: what of it is kept */
  cut(start: number, end: number): Waveform {
    const kept = new Float32Array(this.#count - this.#dropped);
    let at = 0;
    for (const piece of this.#pieces) {
      kept.set(piece, at);
      at += piece.length;
    }
    const [first, last] = [start, end].map((seconds) => Math.round(seconds * this.#sampleRate) - this.#dropped);
    return { samples: kept.slice(Math.max(0, first), Math.max(0, last)), sampleRate: this.#sampleRate };
  }
}
