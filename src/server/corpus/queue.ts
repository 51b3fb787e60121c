import type { Job, JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { RillError } from '../../errors.ts';
import { packFile, type CorpusFile, type PackedFile } from './corpus-file.ts';
import type { CorpusDescription } from './description.ts';
import { loadQueuePackages, type QueuePackages } from './packages.ts';
import { checkRedisAddress } from '../redis-address.ts';
import { groupFiles, type JobSize } from './split.ts';
import { CorpusStore, KEY_PREFIX, checkName, connect, type CorpusCounts } from './store.ts';

/** What a job carries. */
export interface JobData {
  files: PackedFile[];
  /** A part of a job that workers have ended at. */
  isSuspect?: boolean;
}

/** A job, its progress what {@link Crashes} writes. */
export type CorpusJob = Job<JobData>;

/** Jobs that are added at once. */
const BULK = 500;
/** Events that BullMQ keeps; nobody reads them here. */
const EVENTS = 100;

/** How many jobs there are. */
export interface CorpusJobs {
  /** For a worker. */
  waiting: number;
  /** Workers are at them. */
  active: number;
  /** For another attempt. */
  delayed: number;
}

/** How far a corpus is, as people ask. */
export interface CorpusStatus extends CorpusCounts {
  /** `submitting`, `running`, `paused` or `finished`. */
  state: 'submitting' | 'running' | 'paused' | 'finished';
  /** Files in the list. */
  total: number;
  /** Seconds that the list probably lasts. */
  totalSeconds: number;
  /** Jobs that are not done. */
  jobs: CorpusJobs;
  /** Workers that are connected. */
  workers: number;
  /** Seconds of audio a second, over the last ten minutes. */
  speed: number;
  /** Seconds until the end at this speed; undefined where nothing moves. */
  secondsLeft?: number;
  /** Bytes of results that may wait in Redis. */
  heldBytes: number;
}

/** A corpus in a queue: who submits, asks, pauses and clears. */
export class CorpusQueue {
  /** Of what is done. */
  readonly store: CorpusStore;
  /** @internal */
  readonly packages: QueuePackages;
  /** The name of the corpus. */
  readonly name: string;
  /** @internal The address of Redis. */
  readonly url: string;
  readonly #redis: Redis;
  readonly #queue: Queue<JobData>;

  private constructor(packages: QueuePackages, redis: Redis, url: string, name: string) {
    this.packages = packages;
    this.url = url;
    this.name = name;
    this.#redis = redis;
    this.store = new CorpusStore(redis, name);
    this.#queue = new packages.bullmq.Queue<JobData>(name, {
      connection: { url },
      prefix: KEY_PREFIX,
      streams: { events: { maxLen: EVENTS } },
    });
    // Redis goes and comes; commands wait meanwhile.
    this.#queue.on('error', () => undefined);
  }

  /**
   * Connects to Redis.
   *
   * @param url `redis://host:6379`, `rediss://…` with TLS
   * @throws RillError `network` where nothing answers, `bad-argument` without the packages bullmq and ioredis.
   */
  static async open(url: string, name: string): Promise<CorpusQueue> {
    checkName(name);
    checkRedisAddress(url);
    const packages = await loadQueuePackages();
    return new CorpusQueue(packages, await connect(packages, url), url, name);
  }

  /**
   * Makes jobs of files. Called again with the same list it adds what is missing.
   *
   * @param onProgress called with the number of files whose jobs are in the queue
   * @throws RillError `busy` where another corpus has this name.
   */
  async submit(
    description: CorpusDescription,
    files: readonly CorpusFile[],
    size: JobSize,
    onProgress: (files: number) => void = () => undefined,
  ): Promise<void> {
    const { fingerprint } = await this.store.begin(description);
    if (fingerprint !== description.fingerprint) {
      throw new RillError('busy', {
        got: `another list, model or settings for the corpus ${this.name}, which is there already`,
        expected: 'the same as before, or a name that is free',
        remedy: 'Choose another name, or collect and clear that corpus first.',
      });
    }
    if (await this.store.isSubmitted()) {
      onProgress(files.length);
      return;
    }
    const groups = groupFiles(files, size);
    let done = 0;
    for (let at = 0; at < groups.length; at += BULK) {
      const bulk = groups.slice(at, at + BULK);
      await this.add(bulk.map((group) => ({ id: `from-${group[0].index}`, files: group })));
      done += bulk.reduce((sum, group) => sum + group.length, 0);
      onProgress(done);
    }
    await this.store.endSubmit();
  }

  /** @internal Adds jobs; one whose id is in the queue is there already. */
  async add(jobs: readonly { id: string; files: readonly CorpusFile[]; isSuspect?: boolean }[]): Promise<void> {
    await this.#queue.addBulk(
      jobs.map(({ id, files, isSuspect }) => ({
        name: 'files',
        data: { files: files.map(packFile), ...(isSuspect && { isSuspect }) },
        opts: jobOptions(id),
      })),
    );
  }

  /** What was submitted. @throws RillError `bad-argument` where nothing was. */
  async describe(): Promise<CorpusDescription> {
    const description = await this.store.describe();
    if (!description) {
      throw new RillError('bad-argument', {
        got: `no corpus ${this.name} in this queue`,
        expected: 'one that was submitted',
        remedy: 'Submit it first, or check its name.',
      });
    }
    return description;
  }

  /** @throws RillError `bad-argument` where nothing was submitted. */
  async status(): Promise<CorpusStatus> {
    const { files: total, seconds: totalSeconds, heldBytes } = await this.describe();
    const [counts, speed, isSubmitted, isPaused, jobs, workers] = await Promise.all([
      this.store.counts(),
      this.store.speed(),
      this.store.isSubmitted(),
      this.#queue.isPaused(),
      this.#queue.getJobCounts('wait', 'active', 'delayed'),
      this.#queue.getWorkersCount(),
    ]);
    const running = isPaused ? 'paused' : 'running';
    const unfinished = isSubmitted ? running : 'submitting';
    return {
      ...counts,
      state: counts.files >= total ? 'finished' : unfinished,
      total,
      totalSeconds,
      jobs: { waiting: jobs.wait, active: jobs.active, delayed: jobs.delayed },
      workers,
      speed,
      secondsLeft: secondsLeft(counts, totalSeconds, speed),
      heldBytes,
    };
  }

  /** Workers end the jobs that they are at, and begin no other. */
  async pause(): Promise<void> {
    await this.describe();
    await this.#queue.pause();
  }

  /** Workers go on. */
  async resume(): Promise<void> {
    await this.describe();
    await this.#queue.resume();
  }

  /** Forgets the corpus: its jobs, and the results that are still in Redis. */
  async clear(): Promise<void> {
    await this.#queue.obliterate({ force: true });
    await this.store.clear();
  }

  /** Disconnects. */
  async close(): Promise<void> {
    await this.#queue.close();
    this.#redis.disconnect();
  }
}

/** A job goes when it is done; it never fails for good: who is at it cuts it up, or sets its file aside. */
function jobOptions(jobId: string): JobsOptions {
  const attempts = Number.MAX_SAFE_INTEGER;
  return { jobId, attempts, backoff: { type: 'custom' }, removeOnComplete: true, stackTraceLimit: 1 };
}

/** Files last as long as was expected of them, or as those that are done have shown. */
export function secondsLeft(
  { seconds, expected }: Pick<CorpusCounts, 'seconds' | 'expected'>,
  totalSeconds: number,
  speed: number,
): number | undefined {
  const correction = expected > 0 ? seconds / expected : 1;
  return speed > 0 ? (Math.max(0, totalSeconds - expected) * correction) / speed : undefined;
}
