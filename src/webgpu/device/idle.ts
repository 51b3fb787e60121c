/** A device is idle when nothing has been asked of it for so many milliseconds. */
const IDLE_MS = 200;

/** Who is at work on a device, and what waits until nobody is. */
export class IdleTime {
  #underWay = 0;
  #begun = 0;
  #since = -Infinity;
  #last: Promise<unknown> = Promise.resolve();

  /** How much work was begun so far. */
  get begun(): number {
    return this.#begun;
  }

  /** Runs work that others give way to, at once. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#underWay++;
    this.#begun++;
    try {
      return await work();
    } finally {
      this.#underWay--;
      this.#since = performance.now();
    }
  }

  /**
   * Resolves when the device is idle, in a turn of its own, so that messages and timers come in between.
   *
   * @throws the signal's reason when it is aborted.
   */
  async moment(signal: AbortSignal): Promise<void> {
    let wait = this.#wait;
    do {
      await pause(wait, signal);
      signal.throwIfAborted();
      wait = this.#wait;
    } while (wait > 0);
  }

  /** Runs work when all that was given before has ended: one at a time on a device. */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Milliseconds until the device can be idle. */
  get #wait(): number {
    return this.#underWay > 0 ? IDLE_MS : Math.max(0, this.#since + IDLE_MS - performance.now());
  }
}

/** Waits, no longer than until the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
