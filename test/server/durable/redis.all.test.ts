import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisCallStore } from '../../../src/server/durable/redis.ts';
import { startRedis, type RedisProcess } from '../../../tools/server/redis-process.ts';
import { failure } from '../../support/failure.ts';
import { describeStore } from '../../support/call-store.ts';

let redis: RedisProcess;
const stores: RedisCallStore[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  stores.forEach((store) => {
    store.dispose();
  });
  await redis.stop();
});

async function open(expirySeconds: number): Promise<RedisCallStore> {
  const store = await RedisCallStore.open(redis.url, { expirySeconds, prefix: `test:${stores.length}:` });
  stores.push(store);
  return store;
}

describeStore('RedisCallStore', open);

describe('RedisCallStore', () => {
  it('is one store for all who open it', async () => {
    const options = { prefix: 'test:shared:' };
    const [here, there] = [
      await RedisCallStore.open(redis.url, options),
      await RedisCallStore.open(redis.url, options),
    ];
    stores.push(here, there);
    const { owner } = await here.claim('a');
    await here.save('a', owner, Uint8Array.of(7));
    expect([...((await there.claim('a')).state ?? [])]).toEqual([7]);
    expect(await here.save('a', owner, Uint8Array.of(8))).toBe(false);
  });

  it('says so where there is no Redis', async () => {
    expect(await failure('network', () => RedisCallStore.open('redis://127.0.0.1:1'))).toContain('Redis');
  });

  it('says so where Redis has gone', async () => {
    const own = await startRedis();
    const store = await RedisCallStore.open(own.url);
    stores.push(store);
    await own.stop();
    await failure('network', () => store.claim('a'));
  });
});
