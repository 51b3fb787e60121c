/** Work in one go, at most, before others get a turn: half a frame of a screen. */
const SLICE_MS = 8;

/**
 * Whose turn it is: work of one after the other in the order of asking, and now and then a pause for the page's or
 * process's other work. While little was done since the last pause, nothing is waited for.
 */
export class Turns {
  /** Of those that wait, the last one's end. */
  #last: Promise<void> | undefined;
  /** Since the last pause. */
  #workedMs = 0;

  /** Does some work when its turn has come: right now, if nobody waits and there was a pause lately. */
  take<Done>(work: () => Done): Promise<Done> {
    if (!this.#last && this.#workedMs < SLICE_MS) {
      return this.#run(work);
    }
    const turn = (this.#last ?? Promise.resolve()).then(() => this.#pauseIfDue()).then(() => this.#run(work));
    const end = () => {
      if (this.#last === last) {
        this.#last = undefined;
      }
    };
    const last: Promise<void> = turn.then(end, end);
    this.#last = last;
    return turn;
  }

  async #run<Done>(work: () => Done): Promise<Done> {
    const started = performance.now();
    try {
      return work();
    } finally {
      this.#workedMs += performance.now() - started;
    }
  }

  async #pauseIfDue(): Promise<void> {
    if (this.#workedMs >= SLICE_MS) {
      await nextTask();
      this.#workedMs = 0;
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
