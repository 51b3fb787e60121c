/** Work in one go, at most, before others get a turn: half a frame of a screen. */
const SLICE_MS = 8;

/**
 * Whose turn it is: work of one after the other in the order of asking, and now and then a pause for the page's or
 * process's other work. Whoever waits for what it asked for before it asks again never waits for a turn.
 */
export class Turns {
  /** Since the last pause. */
  #workedMs = 0;
  #isTaken = false;
  /** Those that wait, whoever came first in front. */
  readonly #waiting: (() => void)[] = [];

  /**
   * Does some work: right now, but after the work that is under way and a pause that it has brought. Work that ends later,
   * a promise, has the turn until then.
   */
  async take<Done>(work: () => Done | Promise<Done>): Promise<Done> {
    if (this.#isTaken) {
      // Whoever had it hands it over.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#isTaken = true;
    try {
      const started = performance.now();
      const doing = work();
      if (doing instanceof Promise) {
        const done = await doing;
        // Others had their turn while messages came.
        this.#workedMs = 0;
        return done;
      }
      this.#workedMs += performance.now() - started;
      if (this.#workedMs >= SLICE_MS) {
        await nextTask();
        this.#workedMs = 0;
      }
      return doing;
    } finally {
      const next = this.#waiting.shift();
      this.#isTaken = next !== undefined;
      next?.();
    }
  }
}

/**
 * Resolves in a task of its own, so that events and frames get between. Timers would take 4 ms in pages; a channel that is
 * closed again keeps no process alive.
 */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
