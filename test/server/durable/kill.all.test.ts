import { afterAll, beforeAll, expect, it } from 'vitest';
import { KillTest } from '../../../tools/server/kill-servers.ts';
import { startRedis, type RedisProcess } from '../../../tools/server/redis-process.ts';

let redis: RedisProcess;
let test: KillTest;

beforeAll(async () => {
  redis = await startRedis();
  test = await KillTest.start({ redis: redis.url, calls: 20, seconds: 6, speed: 2, saveSeconds: 1, seed: 7 });
});
afterAll(async () => {
  await test.stop();
  await redis.stop();
});

it.each([1, 2, 3])(
  'Kill -9 one of two servers in the middle of 20 calls: no word is lost or told twice, time %i',
  async () => {
    const { calls, wrong, repeated, moved, sentAgainSeconds } = await test.round();
    expect({ calls, wrong, repeated }).toEqual({ calls: 20, wrong: 0, repeated: 0 });
    expect(moved).toBeGreaterThan(0);
    expect(sentAgainSeconds).toBeGreaterThan(0);
  },
);
