import { RillError } from '../../errors.ts';
import { checkRedisAddress } from '../redis-address.ts';
import { loadPackage } from '../packages.ts';
import { DEFAULT_EXPIRY_SECONDS, type CallStore, type Claim } from './store.ts';

/** A client of Redis, as far as it is needed: one of `ioredis` is. */
export interface RedisClient {
  /** Gives a command; texts come back as bytes. */
  callBuffer(command: string, ...values: (string | number | Buffer)[]): Promise<unknown>;
}

/** How calls are kept in Redis. */
export interface RedisCallStoreOptions {
  /** Seconds that a call is kept without being saved; 600 by default. */
  expirySeconds?: number;
  /** Before each call's id; `rill:call:` by default. */
  prefix?: string;
}

/** Redis answers within milliseconds, or is in trouble. */
const TIMEOUT_MS = 5000;

/**
 * A call is a hash of `owner` and `state`. Owners are microseconds since 1970, so that they grow even where a Redis has
 * lost what it held. What is compared and what is written is one script, and nothing comes between.
 */
const CLAIM = `
local time = redis.call('TIME')
local before = redis.call('HGET', KEYS[1], 'owner') or '0'
local owner = string.format('%.0f', math.max(before + 1, time[1] * 1000000 + time[2]))
redis.call('HSET', KEYS[1], 'owner', owner)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {owner, before, redis.call('HGET', KEYS[1], 'state')}`;

const HOLD = `
if tonumber(redis.call('HGET', KEYS[1], 'owner') or '0') > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'owner', ARGV[2])`;

const SAVE = `${HOLD}
redis.call('HSET', KEYS[1], 'state', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`;

/** The owner stays until it expires, so that no server before it can bring the call back. */
const REMOVE = `${HOLD}
redis.call('HDEL', KEYS[1], 'state')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`;

/** A store in Redis: for calls on several servers. Memory there is a snapshot a call. */
export class RedisCallStore implements CallStore {
  readonly #redis: RedisClient;
  readonly #expiryMs: number;
  readonly #prefix: string;
  #close: () => void = () => undefined;

  /** @param redis stays the caller's */
  constructor(
    redis: RedisClient,
    { expirySeconds = DEFAULT_EXPIRY_SECONDS, prefix = 'rill:call:' }: RedisCallStoreOptions = {},
  ) {
    this.#redis = redis;
    this.#expiryMs = Math.round(1000 * expirySeconds);
    this.#prefix = prefix;
  }

  /**
   * Connects to Redis by the package `ioredis`, which has to be installed.
   *
   * @param url as `redis://host:6379`
   * @throws RillError `bad-argument` without the package and for what is no address, `network` when Redis cannot be reached.
   */
  static async open(url: string, options: RedisCallStoreOptions = {}): Promise<RedisCallStore> {
    checkRedisAddress(url);
    const { Redis } = await loadPackage(() => import('ioredis'), {
      got: 'no package ioredis',
      expected: 'it beside rill-asr',
      remedy: 'Install it: npm install ioredis.',
    });
    // A save that fails is followed by another soon: no command waits for a connection.
    const redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: TIMEOUT_MS,
    });
    // What goes wrong is told to whoever gives a command.
    redis.on('error', () => undefined);
    try {
      await redis.connect();
    } catch (cause) {
      redis.disconnect();
      const { host } = new URL(url);
      throw unreachable(cause, ` at ${host}`, 'Check its address, and whether it runs.');
    }
    const store = new RedisCallStore(redis, options);
    store.#close = () => {
      redis.disconnect();
    };
    return store;
  }

  async claim(id: string): Promise<Claim> {
    const [owner, before, state] = arrayOf(await this.#eval(CLAIM, id, this.#expiryMs));
    return {
      owner: Number(String(owner)),
      before: Number(String(before)),
      state: state instanceof Uint8Array ? state : undefined,
    };
  }

  async save(id: string, owner: number, state: Uint8Array): Promise<boolean> {
    const bytes = Buffer.from(state.buffer, state.byteOffset, state.length);
    return (await this.#eval(SAVE, id, this.#expiryMs, owner, bytes)) === 1;
  }

  async remove(id: string, owner: number): Promise<boolean> {
    return (await this.#eval(REMOVE, id, this.#expiryMs, owner)) === 1;
  }

  /** Gives back a connection that {@link open} made. */
  dispose(): void {
    this.#close();
  }

  async #eval(script: string, id: string, ...values: (number | Buffer)[]): Promise<unknown> {
    try {
      return await this.#redis.callBuffer('EVAL', script, 1, this.#prefix + id, ...values);
    } catch (cause) {
      throw unreachable(cause);
    }
  }
}

const arrayOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

function unreachable(
  cause: unknown,
  where = '',
  remedy = 'Check whether it runs; calls go on meanwhile, and are saved when it is back.',
): RillError {
  return new RillError(
    'network',
    {
      got: `no answer from Redis${where} (${cause instanceof Error ? cause.message : String(cause)})`,
      expected: 'one within some seconds',
      remedy,
    },
    { cause },
  );
}
