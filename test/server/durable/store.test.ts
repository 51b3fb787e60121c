import { expect, it } from 'vitest';
import { MemoryCallStore } from '../../../src/server/durable/store.ts';
import { describeStore } from '../../support/call-store.ts';

describeStore('MemoryCallStore', async (expirySeconds) => new MemoryCallStore({ expirySeconds }));

it('keeps no more calls than it may, and those that were saved last', async () => {
  const store = new MemoryCallStore({ maxCalls: 2 });
  const owners = new Map<string, number>();
  for (const id of ['a', 'b', 'c']) {
    const { owner } = await store.claim(id);
    owners.set(id, owner);
    await store.save(id, owner, Uint8Array.of(1));
  }
  const states = await Promise.all(['c', 'b'].map(async (id) => (await store.claim(id)).state?.length));
  expect(states).toEqual([1, 1]);
  expect((await store.claim('a')).state).toBeUndefined();
});
