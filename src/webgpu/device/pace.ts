/** The part of the expected time that is waited out: the rest is for a step that is faster than the last one. */
const WAITED_SHARE = 0.85;
/** Timers are good to a millisecond or so; shorter pauses are not worth one. */
const SHORTEST_PAUSE_MS = 3;
/** A result that is there this soon after the pause may have been there for long. */
const AT_ONCE_MS = 0.5;
/** What becomes of an expectation then. */
const SHRINKING = 0.5;
/** How fast an expectation may grow from step to step, so that one disturbed step does not make many late. */
const GROWTH = 1.25;

/**
 * Waits out most of the time that the GPU will take, for implementations that look for results in a loop without
 * pause while anything is pending, as Node's `webgpu` does: on a software adapter that loop takes a processor core
 * from the very work it waits for. Times are learnt from step to step.
 */
export class Pace {
  /** Milliseconds that a step is expected to take, by its size; none after the first, which is slow for many reasons. */
  readonly #expected = new Map<string, number | undefined>();
  /** When everything submitted so far should be done. */
  #doneAt = 0;

  /** Resolves shortly before a step that has just been submitted should be done. */
  async untilDue(lanes: number, frames: number): Promise<void> {
    const expected = this.#expected.get(sizeOf(lanes, frames)) ?? 0;
    const now = performance.now();
    const startsAt = Math.max(now, this.#doneAt);
    this.#doneAt = startsAt + expected;
    const pause = Math.floor(startsAt + WAITED_SHARE * expected - now);
    if (pause >= SHORTEST_PAUSE_MS) {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /**
   * Learns from a step.
   *
   * @param ms that it took
   * @param afterPauseMs from the end of its pause until it was done
   */
  learn(lanes: number, frames: number, ms: number, afterPauseMs: number): void {
    const size = sizeOf(lanes, frames);
    if (!this.#expected.has(size)) {
      this.#expected.set(size, undefined);
      return;
    }
    const before = this.#expected.get(size) ?? ms;
    this.#expected.set(size, afterPauseMs < AT_ONCE_MS ? SHRINKING * before : Math.min(ms, GROWTH * before));
  }
}

const sizeOf = (lanes: number, frames: number) => `${lanes} × ${frames}`;
