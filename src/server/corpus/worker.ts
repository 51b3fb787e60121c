import { Company } from './company.ts';
import { errorLine, reasonOf, unpackFile, type CorpusFile } from './corpus-file.ts';
import { Crashes } from './crashes.ts';
import type { CorpusDescription } from './description.ts';
import type { Heard, Hearing } from './hearing.ts';
import type { CorpusJob, CorpusQueue, JobData } from './queue.ts';
import { splitJob } from './split.ts';
import { KEY_PREFIX, type CorpusStore } from './store.ts';
import { waitFor } from './wait.ts';

/** What a worker is told. */
export interface CorpusWorkerOptions {
  /** Hears the files. */
  hearing: Pick<Hearing, 'ready' | 'hear'>;
  /** A file's line: JSON. */
  lineOf: (file: CorpusFile, heard: Heard) => string;
  /** Jobs at a time: the second fills the lanes that the end of the first leaves idle; 2 by default. */
  jobs?: number;
  /**
   * Seconds for which a job is a worker's own; renewed twice within them, so that after a crash another worker has the job
   * within twice this time; 30 by default.
   */
  lockSeconds?: number;
  /** Called when a file is done. */
  onFile?: (file: CorpusFile, outcome: { seconds: number; error?: unknown }) => void;
  /** Called with what a person might want to know. */
  onNote?: (text: string) => void;
}

/** Workers that may end at a job before it is cut up; that may end at a file with nothing beside it before it is set aside. */
const CRASHES = 2;
const CRASHES_ALONE = 3;
const LONGEST_RETRY_SECONDS = 3600;
/** How often an idle worker looks whether all is done, or whether there is room for results. */
const POLL_MS = 1000;

/** One process that works on a corpus, among any number of them. */
export class CorpusWorker {
  readonly #queue: CorpusQueue;
  readonly #store: CorpusStore;
  readonly #description: CorpusDescription;
  readonly #options: CorpusWorkerOptions;
  /** No file is begun any more. */
  readonly #stop = new AbortController();
  /** Jobs that are under way here. */
  readonly #company = new Company();
  /** By job. */
  readonly #attempts = new Map<string, Attempt>();
  /** Why this worker cannot go on. */
  #broken: { error: unknown } | undefined;

  constructor(queue: CorpusQueue, description: CorpusDescription, options: CorpusWorkerOptions) {
    this.#queue = queue;
    this.#store = queue.store;
    this.#description = description;
    this.#options = options;
  }

  /**
   * Works until all files of the corpus are done, by whomever.
   *
   * @param signal ends it early: what is under way is given up and goes back into the queue at once
   * @throws what the recognizer cannot be opened with.
   */
  async run(signal?: AbortSignal): Promise<void> {
    const { hearing, jobs = 2, lockSeconds = 30, onNote = () => undefined } = this.#options;
    await hearing.ready();
    const { Worker } = this.#queue.packages.bullmq;
    const worker = new Worker<JobData>(this.#queue.name, (job, token) => this.#process(job, token), {
      connection: { url: this.#queue.url },
      prefix: KEY_PREFIX,
      concurrency: jobs,
      lockDuration: 1000 * lockSeconds,
      stalledInterval: 1000 * lockSeconds,
      // Who gets the job decides what becomes of it.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      settings: { backoffStrategy: (attempts) => 1000 * this.#retrySeconds(attempts) },
    });
    let told = '';
    worker.on('error', ({ message }) => {
      if (message !== told) {
        onNote(message);
        told = message;
      }
    });
    // This process, or Redis, stood still for longer than a lock lasts: it was taken for dead, and is not.
    worker.on('lockRenewalFailed', (jobs) => {
      jobs.forEach((id) => void this.#attempts.get(id)?.excuse());
    });
    const stop = () => {
      this.#stop.abort();
    };
    signal?.addEventListener('abort', stop);
    if (signal?.aborted) {
      stop();
    }
    try {
      while (!this.#stop.signal.aborted && !(await this.#isFinished())) {
        await waitFor(POLL_MS, this.#stop.signal);
      }
    } finally {
      stop();
      signal?.removeEventListener('abort', stop);
      await worker.close();
    }
    if (this.#broken) {
      throw this.#broken.error;
    }
  }

  async #isFinished(): Promise<boolean> {
    return (await this.#store.counts()).files >= this.#description.files;
  }

  #retrySeconds(attempts: number): number {
    return Math.min(LONGEST_RETRY_SECONDS, this.#description.retrySeconds * 2 ** (attempts - 1));
  }

  /** Some attempts at a file have failed: this one is the last. */
  #isLastAttempt(job: CorpusJob): boolean {
    return job.attemptsMade + 1 >= this.#description.attempts;
  }

  async #process(job: CorpusJob, token: string | undefined): Promise<void> {
    const files = job.data.files.map(unpackFile);
    const left = await this.#store.undone(files);
    const crashes = Crashes.of(job, await this.#store.excused(job.id ?? ''));
    if (left.length > 1 && crashes.count >= CRASHES) {
      await this.#split(job, left, crashes.underWay);
      return;
    }
    if (left.length === 1 && crashes.alone >= CRASHES_ALONE) {
      await this.#setAside(left[0], new Error(`its worker ended ${crashes.alone} times, without an error`));
      return;
    }
    // What a worker has ended at runs with nothing beside it: whoever is at fault is known then.
    const isAlone = crashes.count > 0 || job.data.isSuspect === true;
    await job.updateProgress(crashes.before([], isAlone));
    const leave = await this.#company.enter(isAlone);
    const attempt = new Attempt(job, { crashes, isAlone }, this.#store, this.#options);
    this.#attempts.set(job.id ?? '', attempt);
    try {
      await this.#hear(job, token, left, attempt);
    } finally {
      this.#attempts.delete(job.id ?? '');
      leave();
    }
  }

  async #hear(job: CorpusJob, token: string | undefined, left: readonly CorpusFile[], attempt: Attempt): Promise<void> {
    if (!(await this.#isReady())) {
      return this.#giveBack(job, token);
    }
    try {
      await this.#options.hearing.hear(left, attempt, this.#stop.signal);
    } catch (error) {
      if (this.#stop.signal.aborted) {
        return this.#giveBack(job, token);
      }
      await this.#afterFailure(job, attempt.underWay, error);
      return;
    }
    await this.#afterRefusals(job, attempt.refused);
  }

  /** Whether there is a recognizer, and room for results, before the worker is stopped. */
  async #isReady(): Promise<boolean> {
    try {
      await this.#options.hearing.ready();
    } catch (error) {
      this.#broken = { error };
      this.#stop.abort();
      return false;
    }
    const { heldBytes } = this.#description;
    let isTold = false;
    while (!this.#stop.signal.aborted && (await this.#store.counts()).bytes > heldBytes) {
      if (!isTold) {
        this.#options.onNote?.(`waiting: more than ${heldBytes} bytes of results are in the queue; collect them`);
        isTold = true;
      }
      await waitFor(POLL_MS, this.#stop.signal);
    }
    return !this.#stop.signal.aborted;
  }

  /** The engine has failed: all of the job is tried again, and cut up when that does not help. */
  async #afterFailure(job: CorpusJob, underWay: readonly number[], error: unknown): Promise<void> {
    this.#options.onNote?.(`a job failed and is tried again: ${reasonOf(error)}`);
    if (!this.#isLastAttempt(job)) {
      throw error;
    }
    const left = await this.#store.undone(job.data.files.map(unpackFile));
    if (left.length > 1) {
      await this.#split(job, left, underWay);
    } else if (left.length === 1) {
      await this.#setAside(left[0], error);
    }
  }

  /** Files that cannot be read are tried again, alone: all else of the job is done. */
  async #afterRefusals(job: CorpusJob, refused: ReadonlyMap<CorpusFile, unknown>): Promise<void> {
    if (refused.size === 0) {
      return;
    }
    if (!this.#isLastAttempt(job)) {
      const [[{ audio }, error]] = refused;
      throw new Error(`${refused.size} files, the first of them ${audio}: ${reasonOf(error)}`);
    }
    for (const [file, error] of refused) {
      await this.#setAside(file, error);
    }
  }

  async #setAside(file: CorpusFile, error: unknown): Promise<void> {
    const kept = { index: file.index, line: errorLine(file, error), seconds: 0, expected: file.seconds };
    await this.#store.keep({ ...kept, isSetAside: true });
    this.#options.onFile?.(file, { seconds: 0, error });
  }

  /** The parts have names of their own: who is killed in between adds none twice. */
  async #split(job: CorpusJob, left: readonly CorpusFile[], underWay: readonly number[]): Promise<void> {
    const parts = splitJob(left, underWay);
    await this.#queue.add(parts.map((files, i) => ({ id: `${job.id ?? ''}-${i}`, files, isSuspect: true })));
    this.#options.onNote?.(`a job that failed again and again is cut into ${parts.length}`);
  }

  async #giveBack(job: CorpusJob, token: string | undefined): Promise<void> {
    await job.moveToWait(token);
    throw new this.#queue.packages.bullmq.WaitingError();
  }
}

/** One attempt at a job: keeps lines as they come, and knows what is under way. */
class Attempt {
  /** Files that cannot be read, with the reason. */
  readonly refused = new Map<CorpusFile, unknown>();
  readonly #underWay = new Set<number>();
  #isExcused = false;
  readonly #job: CorpusJob;
  readonly #begun: { crashes: Crashes; isAlone: boolean };
  readonly #store: CorpusStore;
  readonly #options: CorpusWorkerOptions;

  constructor(
    job: CorpusJob,
    begun: { crashes: Crashes; isAlone: boolean },
    store: CorpusStore,
    options: CorpusWorkerOptions,
  ) {
    this.#job = job;
    this.#begun = begun;
    this.#store = store;
    this.#options = options;
  }

  /** Indices of files that were begun and are not done. */
  get underWay(): number[] {
    return [...this.#underWay];
  }

  /** Redis knows before the file can do any harm. */
  async onBegin({ index }: CorpusFile): Promise<void> {
    this.#underWay.add(index);
    const { crashes, isAlone } = this.#begun;
    await this.#job.updateProgress(crashes.before(this.underWay, isAlone));
  }

  /** Whoever has the job now is not to take this process for one that has ended. */
  async excuse(): Promise<void> {
    if (!this.#isExcused && this.#underWay.size > 0) {
      this.#isExcused = true;
      // Where Redis is away again, it is counted: one of several.
      await this.#store.excuse(this.#job.id ?? '', this.#begun.isAlone).catch(() => undefined);
    }
  }

  async onHeard(file: CorpusFile, heard: Heard): Promise<void> {
    const { index, seconds: expected } = file;
    const { seconds } = heard;
    const line = this.#options.lineOf(file, heard);
    await this.#store.keep({ index, line, seconds, expected, isSetAside: false });
    this.#underWay.delete(index);
    this.#options.onFile?.(file, { seconds });
  }

  async onRefused(file: CorpusFile, error: unknown): Promise<void> {
    this.refused.set(file, error);
    this.#underWay.delete(file.index);
  }
}
