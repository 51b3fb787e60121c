import { describe, expect, it } from 'vitest';
import type { CallStore } from '../../src/server/durable/store.ts';

/** Opens a store that nobody else uses. */
export type OpenStore = (expirySeconds: number) => Promise<CallStore>;

/** What every store of calls promises. */
export function describeStore(name: string, open: OpenStore): void {
  describe(name, () => {
    it('gives back what was saved last, byte for byte', async () => {
      const store = await open(60);
      const { owner, state } = await store.claim('a');
      expect(state).toBeUndefined();
      const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256);
      expect(await store.save('a', owner, Uint8Array.of(1))).toBe(true);
      expect(await store.save('a', owner, bytes.subarray(3))).toBe(true);
      expect(Buffer.compare((await store.claim('a')).state ?? Uint8Array.of(), bytes.subarray(3))).toBe(0);
      expect((await store.claim('b')).state).toBeUndefined();
    });

    it('lets an owner do nothing once another has claimed the call', async () => {
      const store = await open(60);
      const first = await store.claim('a');
      const second = await store.claim('a');
      expect(second.owner).toBeGreaterThan(first.owner);
      expect([first.before, second.before]).toEqual([0, first.owner]);
      expect(await store.save('a', first.owner, Uint8Array.of(1))).toBe(false);
      expect(await store.save('a', second.owner, Uint8Array.of(2))).toBe(true);
      expect(await store.remove('a', first.owner)).toBe(false);
      expect([...((await store.claim('a')).state ?? [])]).toEqual([2]);
    });

    it('forgets a call that is removed, and keeps those out that had it before', async () => {
      const store = await open(60);
      const first = await store.claim('a');
      const second = await store.claim('a');
      await store.save('a', second.owner, Uint8Array.of(2));
      expect(await store.remove('a', second.owner)).toBe(true);
      expect(await store.save('a', first.owner, Uint8Array.of(1))).toBe(false);
      expect((await store.claim('a')).state).toBeUndefined();
    });

    it('forgets a call that nobody saves, whose owner may save it again all the same', async () => {
      const store = await open(0.2);
      const { owner } = await store.claim('a');
      await store.save('a', owner, Uint8Array.of(1));
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(await store.save('b', owner, Uint8Array.of(2))).toBe(true);
      expect((await store.claim('a')).state).toBeUndefined();
    });
  });
}
