import { RillError, shown } from '../../errors.ts';
import type { SessionManager } from '../../recognizer/sessions.ts';
import { DurableCall, type CallOptions } from './call.ts';
import type { CallStore, Claim } from './store.ts';
import { readCall, type StoredCall } from './stored-call.ts';

/** How calls are kept. */
export interface DurableCallsOptions {
  /** Seconds from one save of a call to the next; 2 by default. What came since then is sent again after a crash. */
  saveSeconds?: number;
  /** Called when a call could not be saved: it goes on, and saving is tried again. */
  onError?: (id: string, error: unknown) => unknown;
}

const DEFAULT_SAVE_SECONDS = 2;
const LONGEST_ID = 200;

/**
 * Calls that survive their server: each is kept in a store every few seconds, and goes on wherever its client comes back,
 * with nothing lost and nothing told twice. It knows no protocol: whoever speaks one needs a few lines.
 *
 * ```ts
 * const calls = new DurableCalls(sessions, await RedisCallStore.open('redis://localhost'));
 * const call = await calls.open({ id, sampleRate, heard, onResult, onAcknowledged, onClose });
 * // Tell the client call.acknowledged: it goes on with that sample, and keeps what is not acknowledged.
 * call.push(samples, position);
 * call.finish();
 * // When the client is gone: await call.suspend(). When the server ends: await calls.drain().
 * ```
 */
export class DurableCalls {
  readonly #sessions: SessionManager;
  readonly #store: CallStore;
  readonly #options: Required<DurableCallsOptions>;
  readonly #calls = new Map<string, DurableCall>();
  /** By call: who opens it comes after who opened it before. */
  readonly #opening = new Map<string, Promise<unknown>>();
  #isDraining = false;

  /** @throws RillError `bad-argument` for options out of range. */
  constructor(
    sessions: SessionManager,
    store: CallStore,
    { saveSeconds = DEFAULT_SAVE_SECONDS, onError = () => undefined }: DurableCallsOptions = {},
  ) {
    if (!(saveSeconds > 0 && saveSeconds <= 3600)) {
      throw new RillError('bad-argument', {
        got: `saveSeconds: ${saveSeconds}`,
        expected: 'seconds, more than 0 and at most 3600',
        remedy: `Leave it out for ${DEFAULT_SAVE_SECONDS}.`,
      });
    }
    this.#sessions = sessions;
    this.#store = store;
    this.#options = { saveSeconds, onError };
  }

  /** Calls that are here. */
  get size(): number {
    return this.#calls.size;
  }

  /** Seconds of audio that wait to be decoded, in each call. */
  get backlogs(): number[] {
    return [...this.#calls.values()].map(({ backlogSeconds }) => backlogSeconds);
  }

  /**
   * Begins a call, or goes on with one that was here or on another server: that one is told so, and can save it no more.
   * Results that the client has not heard are told first, then this resolves.
   *
   * @throws LostCall where results were heard of a call that is kept no longer.
   * @throws RillError `bad-argument` for an id or a rate that do not fit, `busy` where there are as many as allowed or while
   * the server ends, `network` when the store cannot be reached, `bad-snapshot` for a call of another model or other
   * options, `closed`.
   */
  async open(options: CallOptions): Promise<DurableCall> {
    const { id } = options;
    checkCallId(id);
    const opening = (this.#opening.get(id) ?? Promise.resolve()).then(() => this.#open(options));
    const settled = opening.catch(() => undefined);
    this.#opening.set(id, settled);
    try {
      return await opening;
    } finally {
      if (this.#opening.get(id) === settled) {
        this.#opening.delete(id);
      }
    }
  }

  /** Saves all calls and lets them go, for other servers; opens no more. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(this.#opening.values());
    await Promise.all([...this.#calls.values()].map((call) => call.suspend()));
  }

  async #open(options: CallOptions): Promise<DurableCall> {
    const { id, hotwords, keywords } = options;
    if (this.#isDraining) {
      throw new RillError('busy', {
        got: 'a call at a server that ends',
        expected: 'one that stays',
        remedy: 'Take it to another server.',
      });
    }
    requireRate(options, this.#calls.get(id));
    const { owner, state } = await this.#claim(options);
    const stored = state && readCall(state);
    requireRate(options, stored);
    const onGone = () => {
      this.#forget(call);
    };
    const call = new DurableCall(options, { store: this.#store, owner, ...this.#options, onGone }, stored);
    if (stored && !stored.session) {
      call.beginOver();
      return call;
    }
    await call.begin(async (handlers) =>
      stored?.session
        ? this.#sessions.restore(stored.session, handlers)
        : this.#sessions.create({ hotwords, keywords, ...handlers }),
    );
    if (call.end === undefined) {
      this.#calls.set(id, call);
    }
    return call;
  }

  /** Takes a call over, from a connection to this server, too: its state is what that one has now. */
  async #claim({ id, heard = 0 }: CallOptions): Promise<Claim> {
    const claim = await this.#store.claim(id);
    const here = this.#calls.get(id);
    if (here) {
      if (!(await here.handOver(claim.owner, claim.before))) {
        throw notSaved();
      }
      return this.#store.claim(id);
    }
    if (heard > 0 && claim.before === 0) {
      throw new LostCall();
    }
    return claim;
  }

  #forget(call: DurableCall): void {
    if (this.#calls.get(call.id) === call) {
      this.#calls.delete(call.id);
    }
  }
}

/** A call that a client has heard results of, and that is kept no longer: `bad-argument`. */
export class LostCall extends RillError {
  constructor() {
    super('bad-argument', {
      got: 'a call that is kept no longer',
      expected: 'one that its client came back to in time',
      remedy: 'Begin another call, under another name, with the samples that are left.',
    });
  }
}

const notSaved = () =>
  new RillError('network', {
    got: 'a call that cannot be saved for its other connection',
    expected: 'a store that can be reached',
    remedy: 'Try again in a few seconds.',
  });

/** @throws RillError `bad-argument` for what is no name of a call. */
export function checkCallId(id: unknown): void {
  if (typeof id !== 'string' || id === '' || id.length > LONGEST_ID) {
    throw new RillError('bad-argument', {
      got: `a call named ${shown(id)}`,
      expected: `1 to ${LONGEST_ID} characters`,
      remedy: 'Name each call by something that others cannot guess, such as crypto.randomUUID().',
    });
  }
}

function requireRate({ sampleRate }: CallOptions, before: Pick<StoredCall, 'sampleRate'> | undefined): void {
  if (before && before.sampleRate !== sampleRate) {
    throw new RillError('bad-argument', {
      got: `${sampleRate} Hz in a call that began with ${before.sampleRate} Hz`,
      expected: 'one sample rate for a whole call',
      remedy: 'Go on at the same rate, or begin another call.',
    });
  }
}
