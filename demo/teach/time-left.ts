/** How long work will still take, from the pace of its last steps. */

/** Steps at the start that tell nothing: kernels are compiled in them. */
const COLD_STEPS = 2;
/** Steps that the pace is measured over, and the fewest that tell it. */
const MEASURED_STEPS = 30;
const FEWEST_STEPS = 3;

export class TimeLeft {
  /** When steps were done, the last ones. */
  #times: { done: number; ms: number }[] = [];
  #seen = 0;

  /** Takes what was done by a moment, in milliseconds from anywhere. */
  add(done: number, ms: number): void {
    if (++this.#seen > COLD_STEPS) {
      this.#times = [...this.#times, { done, ms }].slice(-MEASURED_STEPS - 1);
    }
  }

  /** Begins anew, as the work does. */
  clear(): void {
    this.#times = [];
    this.#seen = 0;
  }

  /** Seconds until all is done; undefined while nobody can know. */
  seconds(total: number): number | undefined {
    const [first] = this.#times;
    const last = this.#times.at(-1);
    if (!last || last.done - first.done < FEWEST_STEPS) {
      return undefined;
    }
    return ((total - last.done) * (last.ms - first.ms)) / (last.done - first.done) / 1000;
  }
}
