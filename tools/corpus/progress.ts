import { reasonOf, type CorpusFile } from '../../src/server/corpus/corpus-file.ts';
import { secondsLeft } from '../../src/server/corpus/queue.ts';
import { Progress, note, printable } from '../terminal.ts';
import { clock } from '../clock.ts';

/** How far the work of this process is, on stderr. */
export class CorpusProgress {
  readonly #progress = new Progress('transcribing');
  readonly #started = performance.now();
  readonly #total: number;
  readonly #totalSeconds: number;
  #files = 0;
  #seconds = 0;
  #expected = 0;
  #setAside = 0;

  /** @param isDone files that were done before */
  constructor(files: readonly CorpusFile[], isDone: (file: CorpusFile) => boolean) {
    const left = files.filter((file) => !isDone(file));
    this.#total = left.length;
    this.#totalSeconds = left.reduce((sum, { seconds }) => sum + seconds, 0);
    if (left.length < files.length) {
      note(`${files.length - left.length} of ${files.length} files are done already`);
    }
  }

  /** Files that were set aside. */
  get setAside(): number {
    return this.#setAside;
  }

  /** For `onFile` of whoever transcribes. */
  readonly onFile = (file: CorpusFile, { seconds, error }: { seconds: number; error?: unknown }): void => {
    this.#files++;
    this.#seconds += seconds;
    this.#expected += file.seconds;
    if (error !== undefined) {
      this.#setAside++;
      this.#progress.end();
      note(`set aside: ${printable(file.audio)}: ${reasonOf(error)}`);
    }
    const speed = this.#speed;
    const left = secondsLeft({ seconds: this.#seconds, expected: this.#expected }, this.#totalSeconds, speed);
    const ahead = left === undefined ? '' : `, about ${clock(left)} left`;
    const words = `${this.#files} of ${this.#total} files, ${speed.toFixed(1)} times real time${ahead}`;
    this.#progress.update(this.#files, this.#total, words);
  };

  end(): void {
    this.#progress.end();
  }

  /** `12 files, 0:34 of audio, 56.7 times real time, 1 set aside` */
  get summary(): string {
    const setAside = this.#setAside > 0 ? `, ${this.#setAside} set aside` : '';
    const speed = `${this.#speed.toFixed(1)} times real time`;
    return `${this.#files} files, ${clock(this.#seconds)} of audio, ${speed}${setAside}`;
  }

  get #speed(): number {
    return this.#seconds / Math.max(0.001, (performance.now() - this.#started) / 1000);
  }
}
