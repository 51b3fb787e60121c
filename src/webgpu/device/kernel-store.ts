/** Where choices of kernels are kept from one start to the next, so that they are not measured each time. */
export interface KernelStore {
  /** What was kept under a key, if anything. */
  get: (key: string) => Promise<string | undefined>;
  /** Keeps a value under a key. */
  set: (key: string, value: string) => Promise<void>;
}

const CACHE = 'rill-kernels';
const address = (key: string) => `https://rill.invalid/kernels/${encodeURIComponent(key)}`;

/** Browsers' cache storage. Where there is none (Node, pages without https) nothing is kept. */
export const cacheStorage: KernelStore = {
  async get(key) {
    const cache = await globalThis.caches?.open(CACHE);
    return (await cache?.match(address(key)))?.text();
  },
  async set(key, value) {
    const cache = await globalThis.caches?.open(CACHE);
    await cache?.put(address(key), new Response(value));
  },
};

/** What a store has under a key; nothing may fail for a store that is denied, full or damaged. */
export async function recall(store: KernelStore, key: string): Promise<unknown> {
  try {
    return JSON.parse((await store.get(key)) ?? 'null') as unknown;
  } catch {
    return undefined;
  }
}

/** Keeps a value, if the store takes it. */
export async function keep(store: KernelStore, key: string, value: unknown): Promise<void> {
  try {
    await store.set(key, JSON.stringify(value));
  } catch {
    // The next start measures again.
  }
}
