/** Where calls are kept, so that one that has lost its server goes on at another. */
export interface CallStore {
  /**
   * Takes a call over, or begins it: whoever had it before can save it no more.
   *
   * @throws RillError `network` when the store cannot be reached.
   */
  claim(id: string): Promise<Claim>;
  /**
   * Keeps a call's state in place of the one before, until the store's expiry has passed without another.
   *
   * @param owner as {@link claim} gave it
   * @returns false where another server has taken the call over: nothing was kept
   * @throws RillError `network`.
   */
  save(id: string, owner: number, state: Uint8Array): Promise<boolean>;
  /** Forgets a call's state; as {@link save}. */
  remove(id: string, owner: number): Promise<boolean>;
}

/** A hold on a call. */
export interface Claim {
  /** Grows from claim to claim. */
  owner: number;
  /** That of the claim before; 0 where there was none, or it is forgotten. */
  before: number;
  /** What was saved last, if anything is kept. */
  state: Uint8Array | undefined;
}

/** Seconds that a call is kept without being saved: whoever comes back has to do so by then. */
export const DEFAULT_EXPIRY_SECONDS = 600;

interface Kept {
  owner: number;
  state: Uint8Array | undefined;
  /** Of `performance.now()`. */
  until: number;
}

/** How calls are kept in memory. */
export interface MemoryCallStoreOptions {
  /** Seconds that a call is kept without being saved; 600 by default. */
  expirySeconds?: number;
  /** Calls that are kept at most: one without a state, or that was saved longest ago, goes for another. No limit by default. */
  maxCalls?: number;
}

/** A store in this process: for one server whose clients come and go, and for tests. */
export class MemoryCallStore implements CallStore {
  readonly #expiryMs: number;
  readonly #maxCalls: number;
  /** Those that were touched last stand last. */
  readonly #calls = new Map<string, Kept>();
  #owner = 0;

  constructor({ expirySeconds = DEFAULT_EXPIRY_SECONDS, maxCalls = Infinity }: MemoryCallStoreOptions = {}) {
    this.#expiryMs = 1000 * expirySeconds;
    this.#maxCalls = maxCalls;
  }

  async claim(id: string): Promise<Claim> {
    const { owner: before, state } = this.#find(id);
    this.#owner++;
    this.#keep(id, this.#owner, state);
    return { owner: this.#owner, before, state };
  }

  async save(id: string, owner: number, state: Uint8Array): Promise<boolean> {
    return this.#change(id, owner, state);
  }

  async remove(id: string, owner: number): Promise<boolean> {
    return this.#change(id, owner, undefined);
  }

  #change(id: string, owner: number, state: Uint8Array | undefined): boolean {
    if (this.#find(id).owner > owner) {
      return false;
    }
    this.#keep(id, owner, state);
    return true;
  }

  #keep(id: string, owner: number, state: Uint8Array | undefined): void {
    this.#calls.delete(id);
    this.#calls.set(id, { owner, state, until: performance.now() + this.#expiryMs });
    if (this.#calls.size > this.#maxCalls) {
      this.#dropOne();
    }
  }

  /** One of which nothing was kept yet, rather than one that somebody may come back to. */
  #dropOne(): void {
    let [dropped] = this.#calls.keys();
    for (const [id, { state }] of this.#calls) {
      if (state === undefined) {
        dropped = id;
        break;
      }
    }
    this.#calls.delete(dropped);
  }

  #find(id: string): Omit<Kept, 'until'> {
    const now = performance.now();
    for (const [each, { until }] of this.#calls) {
      if (until > now) {
        break;
      }
      this.#calls.delete(each);
    }
    return this.#calls.get(id) ?? { owner: 0, state: undefined };
  }
}
