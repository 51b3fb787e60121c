const APART_MS = 10_000;

/** Something that may go wrong many times a second, and is told now and then, with how often it did. */
export class RareLine {
  readonly #write: (error: unknown, times: number) => void;
  #times = 0;
  #toldAt = -Infinity;

  constructor(write: (error: unknown, times: number) => void) {
    this.#write = write;
  }

  tell(error: unknown): void {
    this.#times++;
    if (performance.now() - this.#toldAt > APART_MS) {
      this.#write(error, this.#times);
      this.#toldAt = performance.now();
      this.#times = 0;
    }
  }
}
