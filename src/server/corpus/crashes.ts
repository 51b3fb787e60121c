/** A job's progress, as it lies in the queue while files are under way. */
interface Progress {
  /** Indices of files that were begun and are not done. */
  underWay: number[];
  /** Whether nothing else was under way in that process. */
  isAlone: boolean;
  /** Workers that had lost the job when these files were begun. */
  stalls: number;
  /** Crashes before. */
  count: number;
  alone: number;
}

/** What a job, one of BullMQ's, tells of the workers that had it. */
interface LostJob {
  /** As {@link Crashes.before} wrote it. */
  progress: unknown;
  /** Workers that have lost it. */
  stalledCounter: number;
}

/** Workers that were taken for dead at a job, and were not. */
export interface Excused {
  count: number;
  alone: number;
}

/**
 * The processes that have ended while files of a job were under way in them. A worker that ends while the job only waits for
 * its turn says nothing about the job, and one that ends with other jobs beside it little. One that only stood still for
 * longer than its lock says so when it goes on.
 */
export class Crashes {
  /** Whatever looked like one. */
  readonly #all: Excused;
  readonly #excused: Excused;
  /** Indices of the files that were under way at the last one. */
  readonly underWay: readonly number[];
  readonly #stalls: number;

  private constructor(all: Excused, excused: Excused, underWay: readonly number[], stalls: number) {
    this.#all = all;
    this.#excused = excused;
    this.underWay = underWay;
    this.#stalls = stalls;
  }

  /** Workers that have ended at it. */
  get count(): number {
    return this.#all.count - this.#excused.count;
  }

  /** Those that had nothing beside it. */
  get alone(): number {
    return this.#all.alone - this.#excused.alone;
  }

  /** What a job that has just come tells of the workers before. */
  static of({ progress, stalledCounter }: LostJob, excused: Excused): Crashes {
    if (!isProgress(progress)) {
      return new Crashes({ count: 0, alone: 0 }, excused, [], stalledCounter);
    }
    const { underWay, isAlone, stalls, count, alone } = progress;
    const hasCrashed = underWay.length > 0 && stalledCounter > stalls;
    const all = { count: count + Number(hasCrashed), alone: alone + Number(hasCrashed && isAlone) };
    return new Crashes(all, excused, underWay, stalledCounter);
  }

  /** The progress to be written before files are begun. */
  before(underWay: readonly number[], isAlone: boolean): Progress {
    return { underWay: [...underWay], isAlone, stalls: this.#stalls, ...this.#all };
  }
}

/** As another worker, of this version, has written it. */
const isProgress = (value: unknown): value is Progress =>
  typeof value === 'object' && value !== null && 'underWay' in value && Array.isArray(value.underWay);
