/** Work in one go, at most, before others get a turn: half a frame of a screen. */
const SLICE_MS = 8;

/**
 * Whose turn it is: work of one after the other in the order of asking, and now and then a pause for the page's or
 * process's other work. Whoever waits for what it asked for before it asks again never waits for a turn.
 */
export class Turns {
  /** Since the last pause. */
  #workedMs = 0;
  #pause: Promise<void> | undefined;

  /** Does some work: right now, but after a pause that others' work has brought. */
  async take<Done>(work: () => Done): Promise<Done> {
    // Those that wait for a pause go on in the order in which they came; one of them may bring the next.
    while (this.#pause) {
      await this.#pause;
    }
    const started = performance.now();
    const done = work();
    this.#workedMs += performance.now() - started;
    if (this.#workedMs >= SLICE_MS) {
      this.#pause = this.#rest();
      await this.#pause;
    }
    return done;
  }

  async #rest(): Promise<void> {
    await nextTask();
    this.#workedMs = 0;
    this.#pause = undefined;
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
