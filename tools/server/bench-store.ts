/** `npm run bench:store`: how large a call is, and what it takes a server and a Redis to keep it. */
import { Redis } from 'ioredis';
import { RedisCallStore } from '../../src/server/durable/redis.ts';
import { count, parse } from '../commands/arguments.ts';
import { runProgram } from '../program.ts';
import { print, table } from '../terminal.ts';
import { callSizes } from './call-sizes.ts';
import { startRedis } from './redis-process.ts';

const command = {
  program: 'npm run bench:store --',
  summary: 'how large a call is, and what it takes a server and Redis to keep it',
  usage: '[--calls 1000] [--saves of each, 5]',
};

/** What Redis tells of itself. */
class RedisFigures {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Bytes, and seconds of a processor, so far. */
  async read(): Promise<{ memory: number; seconds: number }> {
    const info = await this.#redis.info();
    const figure = (name: string) => Number(new RegExp(`^${name}:([0-9.]+)`, 'm').exec(info)?.[1]);
    return { memory: figure('used_memory'), seconds: figure('used_cpu_user') + figure('used_cpu_sys') };
  }
}

/** @returns bytes in Redis a call, and seconds of its processor a save */
async function measure(url: string, state: Uint8Array, calls: number, saves: number): Promise<[number, number]> {
  const redis = new Redis(url);
  const store = new RedisCallStore(redis);
  const figures = new RedisFigures(redis);
  await redis.flushall();
  const before = await figures.read();
  const claims = await Promise.all(Array.from({ length: calls }, (_, i) => store.claim(`call-${i}`)));
  const claimed = await figures.read();
  for (let save = 0; save < saves; save++) {
    for (const [i, { owner }] of claims.entries()) {
      await store.save(`call-${i}`, owner, state);
    }
  }
  const after = await figures.read();
  redis.disconnect();
  return [(after.memory - before.memory) / calls, (after.seconds - claimed.seconds) / (calls * saves)];
}

async function main(args: string[]): Promise<void> {
  const { values } = parse(command, args, {
    calls: { type: 'string', default: '1000' },
    saves: { type: 'string', default: '5' },
  });
  const calls = count(command, 'calls', values.calls) ?? 1;
  const saves = count(command, 'saves', values.saves) ?? 1;
  const redis = await startRedis();
  try {
    const rows = [['a call of', 'bytes', 'bytes in Redis', 'ms of the server for a save', 'ms of Redis for a save']];
    for (const { name, state, cpuMs } of await callSizes()) {
      const [memory, seconds] = await measure(redis.url, state, calls, saves);
      rows.push([name, String(state.length), memory.toFixed(0), cpuMs.toFixed(2), (1000 * seconds).toFixed(2)]);
    }
    print(table(rows));
  } finally {
    await redis.stop();
  }
}

await runProgram(command, main);
