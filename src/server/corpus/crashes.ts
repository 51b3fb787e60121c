import type { CorpusJob } from './queue.ts';

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

/**
 * The processes that have ended while files of a job were under way in them. A worker that ends while the job only waits for
 * its turn says nothing about the job, and one that ends with other jobs beside it little.
 */
export class Crashes {
  /** All of them, and those with nothing beside the job. */
  readonly count: number;
  readonly alone: number;
  /** Indices of the files that were under way at the last one. */
  readonly underWay: readonly number[];
  readonly #stalls: number;

  private constructor(count: number, alone: number, underWay: readonly number[], stalls: number) {
    this.count = count;
    this.alone = alone;
    this.underWay = underWay;
    this.#stalls = stalls;
  }

  /** What a job that has just come tells of the workers before. */
  static of({ progress, stalledCounter }: Pick<CorpusJob, 'progress' | 'stalledCounter'>): Crashes {
    if (!isProgress(progress)) {
      return new Crashes(0, 0, [], stalledCounter);
    }
    const { underWay, isAlone, stalls, count, alone } = progress;
    const hasCrashed = underWay.length > 0 && stalledCounter > stalls;
    return new Crashes(count + Number(hasCrashed), alone + Number(hasCrashed && isAlone), underWay, stalledCounter);
  }

  /** The progress to be written before files are begun. */
  before(underWay: readonly number[], isAlone: boolean): Progress {
    return { underWay: [...underWay], isAlone, stalls: this.#stalls, count: this.count, alone: this.alone };
  }
}

/** As another worker, of this version, has written it. */
const isProgress = (value: unknown): value is Progress =>
  typeof value === 'object' && value !== null && 'underWay' in value && Array.isArray(value.underWay);
