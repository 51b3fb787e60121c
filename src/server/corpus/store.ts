/** What is known of a corpus in Redis, beside its jobs: what it is, what is done, and the results until they are taken. */
import type { Redis } from 'ioredis';
import { RillError } from '../../errors.ts';
import { withoutPassword } from '../redis-address.ts';
import type { CorpusFile } from './corpus-file.ts';
import type { Excused } from './crashes.ts';
import { formatDescription, parseDescription, type CorpusDescription } from './description.ts';
import type { QueuePackages } from './packages.ts';

/** Before all keys, BullMQ's too. */
export const KEY_PREFIX = 'rill:corpus';
const NAME = /^[\w.-]{1,64}$/;
/** Fields that are read from a hash, or taken, at once. */
const PAGE = 500;
/** Of recent work: seconds of a period, and periods that are looked at. */
const PERIOD_SECONDS = 10;
const PERIODS = 60;

/**
 * Keeps a line of a file that has none yet, and counts it. What was heard takes the place of an error: a worker that got no
 * processor for long was taken for dead, and was not.
 * KEYS: done, results, counts, rate, aside. ARGV: index, line, seconds heard, seconds expected, 1 if set aside, period,
 * periods.
 */
const KEEP = `
if redis.call('SETBIT', KEYS[1], ARGV[1], 1) == 1 then
  local isError = redis.call('GETBIT', KEYS[5], ARGV[1]) == 1 and redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
  if ARGV[5] == '1' or not isError then
    redis.call('HINCRBY', KEYS[3], 'again', 1)
    return 0
  end
  redis.call('HINCRBY', KEYS[3], 'files', -1)
  redis.call('HINCRBY', KEYS[3], 'setAside', -1)
  redis.call('HINCRBY', KEYS[3], 'bytes', -redis.call('HSTRLEN', KEYS[2], ARGV[1]))
  redis.call('HINCRBYFLOAT', KEYS[3], 'expected', -ARGV[4])
end
redis.call('SETBIT', KEYS[5], ARGV[1], ARGV[5])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[3], 'files', 1)
redis.call('HINCRBY', KEYS[3], 'setAside', ARGV[5])
redis.call('HINCRBY', KEYS[3], 'bytes', string.len(ARGV[2]))
redis.call('HINCRBYFLOAT', KEYS[3], 'seconds', ARGV[3])
redis.call('HINCRBYFLOAT', KEYS[3], 'expected', ARGV[4])
local now = math.floor(tonumber(redis.call('TIME')[1]) / ARGV[6])
if redis.call('HEXISTS', KEYS[4], now) == 0 then
  for _, period in ipairs(redis.call('HKEYS', KEYS[4])) do
    if tonumber(period) < now - ARGV[7] then redis.call('HDEL', KEYS[4], period) end
  end
end
redis.call('HINCRBYFLOAT', KEYS[4], now, ARGV[3])
return 1`;

/** Takes lines out. KEYS: results, counts. ARGV: indices. */
const TAKE = `
for _, index in ipairs(ARGV) do
  local line = redis.call('HGET', KEYS[1], index)
  if line then
    redis.call('HDEL', KEYS[1], index)
    redis.call('HINCRBY', KEYS[2], 'bytes', -string.len(line))
    redis.call('HINCRBY', KEYS[2], 'taken', 1)
  end
end
return 0`;

/** How far a corpus is. */
export interface CorpusCounts {
  /** Files that are done, those that were set aside among them. */
  files: number;
  /** Files that were set aside with their error. */
  setAside: number;
  /** Seconds of audio that were heard. */
  seconds: number;
  /** Seconds that these files were expected to last. */
  expected: number;
  /** Bytes of results that wait in Redis. */
  bytes: number;
  /** Results that were taken out of Redis. */
  taken: number;
  /** Files that were heard once more, for nothing: their line was there. */
  again: number;
}

/** A line, and what it counts for. */
export interface KeptLine {
  /** The file's place in the list, from 0. */
  index: number;
  /** JSON. */
  line: string;
  /** Seconds that were heard. */
  seconds: number;
  /** Seconds that it was expected to last. */
  expected: number;
  /** Whether it says why the file was set aside. */
  isSetAside: boolean;
}

/** @throws RillError `bad-argument` for a name that cannot be a key. */
export function checkName(name: string): void {
  if (!NAME.test(name)) {
    throw new RillError('bad-argument', {
      got: `the name ${JSON.stringify(name)} for a corpus`,
      expected: 'letters, digits, dots, dashes: 64 at most',
      remedy: 'Choose another name.',
    });
  }
}

/** @throws RillError `network` where no Redis answers. */
export async function connect({ Redis }: QueuePackages, url: string): Promise<Redis> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null });
  let problem: unknown;
  redis.on('error', (error) => {
    problem = error;
  });
  try {
    await redis.connect();
  } catch (cause) {
    redis.disconnect();
    const { message } = problem instanceof Error ? problem : { message: String(cause) };
    throw new RillError(
      'network',
      {
        got: `no answer from the queue at ${withoutPassword(url)} (${message})`,
        expected: 'a Redis of version 6.2 or later',
        remedy: 'Check the address, and that the server runs.',
      },
      { cause },
    );
  }
  return redis;
}

/** A corpus's own keys. */
export class CorpusStore {
  readonly #redis: Redis;
  readonly #keys: Readonly<Record<'about' | 'done' | 'aside' | 'results' | 'counts' | 'rate' | 'excused', string>>;

  /** @internal */
  constructor(redis: Redis, name: string) {
    const key = (part: string) => `${KEY_PREFIX}:${name}:files:${part}`;
    this.#redis = redis;
    this.#keys = {
      about: key('about'),
      done: key('done'),
      aside: key('aside'),
      results: key('results'),
      counts: key('counts'),
      rate: key('rate'),
      excused: key('excused'),
    };
  }

  /** @internal A worker that was taken for dead at a job was not. */
  async excuse(job: string, wasAlone: boolean): Promise<void> {
    await this.#redis.hincrby(this.#keys.excused, job, 1);
    await this.#redis.hincrby(this.#keys.excused, `${job} alone`, Number(wasAlone));
  }

  /** @internal How many workers were taken for dead at a job, and were not. */
  async excused(job: string): Promise<Excused> {
    const [count, alone] = await this.#redis.hmget(this.#keys.excused, job, `${job} alone`);
    return { count: Number(count ?? 0), alone: Number(alone ?? 0) };
  }

  /** What was submitted; undefined where nothing was. */
  async describe(): Promise<CorpusDescription | undefined> {
    const text = await this.#redis.hget(this.#keys.about, 'description');
    return text === null ? undefined : parseDescription(text);
  }

  /** Says what is to be done; if it was said before, that stays. @returns what is said now */
  async begin(description: CorpusDescription): Promise<CorpusDescription> {
    await this.#redis.hsetnx(this.#keys.about, 'description', formatDescription(description));
    return (await this.describe()) ?? description;
  }

  /** All jobs are in the queue. */
  async endSubmit(): Promise<void> {
    await this.#redis.hset(this.#keys.about, 'submitted', '1');
  }

  /** Whether all jobs came into the queue. */
  async isSubmitted(): Promise<boolean> {
    return (await this.#redis.hget(this.#keys.about, 'submitted')) === '1';
  }

  /** Of some files those that have no line yet. */
  async undone(files: readonly CorpusFile[]): Promise<CorpusFile[]> {
    const bits = await Promise.all(files.map(({ index }) => this.#redis.getbit(this.#keys.done, index)));
    return files.filter((_, i) => bits[i] === 0);
  }

  /** Keeps the line of a file that has none yet, or an error. @returns whether it was kept */
  async keep({ index, line, seconds, expected, isSetAside }: KeptLine): Promise<boolean> {
    const { done, results, counts, rate, aside } = this.#keys;
    const values = [index, line, seconds, expected, isSetAside ? 1 : 0, PERIOD_SECONDS, PERIODS];
    return (await this.#redis.eval(KEEP, 5, done, results, counts, rate, aside, ...values)) === 1;
  }

  /** Lines of neighbours in the list; null where there is none, or it was taken. */
  lines(first: number, count: number): Promise<(string | null)[]> {
    const fields = Array.from({ length: count }, (_, i) => String(first + i));
    return this.#redis.hmget(this.#keys.results, ...fields);
  }

  /** Lines that wait, in no order: each at least once, in pages. */
  async *waiting(): AsyncGenerator<Pick<KeptLine, 'index' | 'line'>[]> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#redis.hscan(this.#keys.results, cursor, 'COUNT', PAGE);
      const page = Array.from({ length: flat.length / 2 }, (_, i) => ({
        index: Number(flat[2 * i]),
        line: flat[2 * i + 1],
      }));
      if (page.length > 0) {
        yield page;
      }
      cursor = next;
    } while (cursor !== '0');
  }

  /** Removes lines that are written elsewhere; that they are done stays known. */
  async take(indices: readonly number[]): Promise<void> {
    const { results, counts } = this.#keys;
    for (let at = 0; at < indices.length; at += PAGE) {
      await this.#redis.eval(TAKE, 2, results, counts, ...indices.slice(at, at + PAGE));
    }
  }

  /** How far it is. */
  async counts(): Promise<CorpusCounts> {
    const counts = await this.#redis.hgetall(this.#keys.counts);
    const count = (name: keyof CorpusCounts) => Number(counts[name] ?? 0);
    return {
      files: count('files'),
      setAside: count('setAside'),
      seconds: count('seconds'),
      expected: count('expected'),
      bytes: count('bytes'),
      taken: count('taken'),
      again: count('again'),
    };
  }

  /** Seconds of audio a second, over the last ten minutes or what there was of them; 0 where nothing was done. */
  async speed(): Promise<number> {
    const [[now], periods] = await Promise.all([this.#redis.time(), this.#redis.hgetall(this.#keys.rate)]);
    const recent = Object.entries(periods)
      .map(([period, seconds]) => ({ start: Number(period) * PERIOD_SECONDS, seconds: Number(seconds) }))
      .filter(({ start }) => start > Number(now) - PERIODS * PERIOD_SECONDS);
    const heard = recent.reduce((sum, { seconds }) => sum + seconds, 0);
    const first = Math.min(...recent.map(({ start }) => start));
    return heard === 0 ? 0 : heard / Math.max(1, Number(now) - first);
  }

  /** Forgets all. */
  async clear(): Promise<void> {
    await this.#redis.unlink(...Object.values(this.#keys));
  }
}
