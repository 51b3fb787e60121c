import { RillError } from '../../errors.ts';
import type { RecognitionResult } from '../../recognizer/results.ts';
import type { CloseReason, Session, SessionHandlers } from '../../recognizer/sessions.ts';
import type { StreamOptions } from '../../recognizer/recognizer.ts';
import type { CallStore } from './store.ts';
import { writeCall, type NumberedResult, type StoredCall } from './stored-call.ts';
import { Unheard } from './unheard.ts';

/**
 * Why a call is no longer here: all of it was heard, or it was discarded; `suspended`, `idle` because nothing came for long,
 * or `failed`, and it can go on here or elsewhere; or `moved`, taken over by another connection, here or elsewhere.
 */
export type CallEnd = CloseReason | 'suspended' | 'moved';

/** A client's side of a call. */
export interface CallHandlers {
  /** Called with each result and its number in the call, from 1 on; one that the client has heard already comes never again. */
  onResult?: (result: RecognitionResult, number: number) => unknown;
  /** Called when the state behind so many samples is safe: the client may forget them. */
  onAcknowledged?: (samples: number) => unknown;
  /** Called once, when the call is no longer here. */
  onClose?: (end: CallEnd, error?: RillError) => unknown;
}

/** What a client says when it comes, or comes back. */
export interface CallOptions extends CallHandlers, StreamOptions {
  /** The call's name, the same wherever it goes on: what others cannot guess. */
  id: string;
  /** Samples per second that the client sends, the same for the whole call. */
  sampleRate: number;
  /** The number of the last result that it has heard; 0 by default. Those behind it are told again. */
  heard?: number;
}

/** What a call is made of. */
export interface CallParts {
  store: CallStore;
  /** Its hold on the call. */
  owner: number;
  saveSeconds: number;
  /** Called when saving has failed: the call goes on, and saving is tried again. */
  onError: (id: string, error: unknown) => unknown;
  /** Called when the call is no longer here. */
  onGone: () => void;
}

/** A call that is silent is saved now and then all the same: the store may have been emptied meanwhile. */
const LEAST_OFTEN_MS = 10_000;
/** A call whose client is away stays so long where the store cannot be reached. */
const LONGEST_STAY_MS = 60_000;

/** One call, on this server for now. Made by {@link DurableCalls.open}. */
export class DurableCall {
  /** Its name. */
  readonly id: string;
  readonly #options: CallOptions;
  readonly #parts: CallParts;
  readonly #unheard: Unheard;
  /** Its hold on the call in the store. */
  #owner: number;
  #opening: Promise<Session> | undefined;
  #session: Session | undefined;
  /** All that was said has been heard. */
  #isOver = false;
  #end: CallEnd | undefined;
  /** Results that the session has told. */
  #told: number;
  #acknowledged: number;
  /** What was saved last, in short, and when. */
  #saved = '';
  #savedAt = -Infinity;
  /** Saves come one after the other: whether the last one has gone well. */
  #saving: Promise<boolean> = Promise.resolve(true);
  /** Its client is away: until when it stays where it cannot be saved. */
  #staysUntil: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @internal @param stored where it was on another server, or in another connection */
  constructor(options: CallOptions, parts: CallParts, stored: StoredCall | undefined) {
    this.id = options.id;
    this.#options = options;
    this.#parts = parts;
    this.#owner = parts.owner;
    this.#acknowledged = stored?.samples ?? 0;
    this.#told = stored?.results ?? 0;
    this.#unheard = new Unheard(stored?.unheard);
    this.#unheard.confirm(options.heard ?? 0);
    for (const { result, number } of this.#unheard.all) {
      this.#options.onResult?.(result, number);
    }
  }

  /** Samples whose state is safe: the client goes on with the next one. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** @internal Samples per second. */
  get sampleRate(): number {
    return this.#options.sampleRate;
  }

  /** Samples taken. */
  get samples(): number {
    return this.#session?.samples ?? this.#acknowledged;
  }

  /** Results that were told so far, here or before: the number of the last one. */
  get results(): number {
    return this.#told;
  }

  /** Seconds of audio that wait to be decoded. */
  get backlogSeconds(): number {
    return this.#session?.isOpen ? this.#session.backlogSeconds : 0;
  }

  /** Whether the client has said that it has all results. */
  get isConfirmed(): boolean {
    return this.#unheard.isEmpty;
  }

  /** Why it is no longer here; undefined while it is. */
  get end(): CallEnd | undefined {
    return this.#end;
  }

  /** @internal Begins with the session that `open` gives. */
  async begin(open: (handlers: SessionHandlers) => Promise<Session>): Promise<void> {
    this.#opening = open({
      onResult: (result) => this.#tell(result),
      onClose: (reason, error) => this.#endSession(reason, error),
      // Its last words stay open, so that it goes on as if there had been no pause.
      onIdle: () => this.#letGo('idle'),
    });
    this.#session = await this.#opening;
    this.#scheduleSave();
  }

  /** @internal All of it was heard before. */
  beginOver(): void {
    this.#isOver = true;
    // Not in the middle of its opening.
    queueMicrotask(() => {
      this.#leave('finished');
    });
  }

  /**
   * Takes the next samples; those that were taken before are dropped.
   *
   * @param position of the first one in the call, counted from 0
   * @throws RillError `bad-argument` where samples are missing before it, `busy` when the call is too far ahead of its
   * decoding, `bad-audio`, `closed`.
   */
  push(samples: Float32Array, position: number): void {
    const session = this.#here();
    const known = session.samples - position;
    if (!(known >= 0)) {
      throw new RillError('bad-argument', {
        got: `samples from ${position} on`,
        expected: `from ${session.samples} on at the latest`,
        remedy: 'Send all samples behind those that are acknowledged, once more.',
      });
    }
    if (known < samples.length) {
      session.push({ samples: samples.subarray(known), sampleRate: this.#options.sampleRate });
    }
  }

  /** Waits until there is room, as {@link Session.ready}. */
  async ready(): Promise<void> {
    await this.#here().ready();
  }

  /** Ends the input: what is left is decoded, then the call ends. May be said again by a client that comes back. */
  finish(): void {
    const session = this.#here();
    if (session.isOpen) {
      session.finish();
    }
  }

  /** The client has all results up to a number: they need not be kept for it. Of a call that is over its end is, then. */
  async confirm(results: number): Promise<void> {
    this.#unheard.confirm(results);
    if (this.#isOver && this.isConfirmed) {
      try {
        await this.#parts.store.save(this.id, this.#owner, writeCall(this.#over()));
      } catch (error) {
        this.#parts.onError(this.id, error);
      }
    }
  }

  /**
   * Saves it now. What goes wrong is told to `onError`, as it is of the saves in between.
   *
   * @returns whether the store has it as it is
   */
  save(): Promise<boolean> {
    return this.#saveNext(true);
  }

  /**
   * Saves it and lets it go: its client has gone, or the server is about to. It can go on here or anywhere. Where the store
   * cannot be reached it stays for a minute, and is let go as soon as it is saved.
   *
   * @returns whether it was let go
   */
  async suspend(): Promise<boolean> {
    const isGone = await this.#letGo('suspended');
    if (!isGone) {
      this.#staysUntil ??= performance.now() + LONGEST_STAY_MS;
    }
    return isGone;
  }

  /**
   * @internal Another connection claims it.
   *
   * @param owner its hold on the call
   * @param before the hold before that: where it is not this one's, the call has been elsewhere meanwhile
   * @returns whether the store has what there is of it
   */
  async handOver(owner: number, before: number): Promise<boolean> {
    if (before > this.#owner) {
      this.#leave('moved');
      return true;
    }
    this.#owner = owner;
    return this.#letGo('moved');
  }

  /** Ends it without its last words; nothing of it is kept. @throws RillError `network`. */
  async discard(): Promise<void> {
    this.#leave('discarded');
    await this.#saving;
    await this.#parts.store.remove(this.id, this.#owner);
  }

  async #letGo(end: CallEnd): Promise<boolean> {
    if (this.#end === undefined && (await this.save())) {
      this.#leave(end);
    }
    return this.#end !== undefined;
  }

  #here(): Session {
    if (!this.#session || this.#end !== undefined) {
      throw new RillError('closed', {
        got: `a call that is no longer here (${this.#end ?? 'not begun'})`,
        expected: 'an open call',
        remedy: 'Open it again, or another.',
      });
    }
    return this.#session;
  }

  #tell(result: RecognitionResult): unknown {
    if (this.#end !== undefined) {
      return undefined;
    }
    const number = ++this.#told;
    this.#unheard.add({ number, result });
    return number > (this.#options.heard ?? 0) ? this.#options.onResult?.(result, number) : undefined;
  }

  /** Its session has ended: by itself, or by {@link #leave}. */
  async #endSession(reason: CloseReason, error?: RillError): Promise<void> {
    await this.#opening;
    if (this.#end !== undefined) {
      return;
    }
    // What has failed can go on from what was saved.
    if (reason !== 'failed') {
      this.#isOver = true;
      await this.save();
    }
    this.#leave(reason, error);
  }

  #scheduleSave(): void {
    this.#timer = setTimeout(() => {
      void this.#saveNext(false).then((isSaved) => {
        const isAway = this.#staysUntil !== undefined;
        if (isAway && (isSaved || performance.now() > (this.#staysUntil ?? 0))) {
          this.#leave('suspended');
        }
        if (this.#end === undefined) {
          this.#scheduleSave();
        }
      });
    }, 1000 * this.#parts.saveSeconds);
  }

  #saveNext(always: boolean): Promise<boolean> {
    this.#saving = this.#saving.then(() => this.#save(always));
    return this.#saving;
  }

  /** @returns whether the store has it as it is */
  async #save(always: boolean): Promise<boolean> {
    try {
      const call = await this.#current(always);
      if (!call) {
        return true;
      }
      if (!(await this.#parts.store.save(this.id, this.#owner, writeCall(call)))) {
        this.#leave('moved');
        return false;
      }
      this.#savedAt = performance.now();
      this.#saved = inShort(call);
      if (call.samples > this.#acknowledged) {
        this.#acknowledged = call.samples;
        this.#options.onAcknowledged?.(call.samples);
      }
      return true;
    } catch (error) {
      // A session that ends meanwhile has no snapshot; its end is saved.
      if (this.#end === undefined && !(error instanceof RillError && error.code === 'closed')) {
        this.#parts.onError(this.id, error);
      }
      return false;
    }
  }

  #over(): StoredCall {
    const { sampleRate } = this.#options;
    return { sampleRate, samples: this.samples, results: this.#told, unheard: this.#unheard.all, session: undefined };
  }

  /** What is to be saved now; nothing where nothing was said yet, or that was saved already and need not be `always`. */
  async #current(always: boolean): Promise<StoredCall | undefined> {
    const session = this.#session;
    if (!session || this.#end !== undefined) {
      return undefined;
    }
    if (this.#isOver) {
      return this.#over();
    }
    if (!session.isOpen || session.samples === 0) {
      return undefined;
    }
    const isDue = always || performance.now() - this.#savedAt > LEAST_OFTEN_MS;
    const now = { samples: session.samples, unheard: this.#unheard.upTo(session.results) };
    if (!isDue && inShort(now) === this.#saved) {
      return undefined;
    }
    const { bytes, samples, results } = await session.snapshot();
    return {
      sampleRate: this.#options.sampleRate,
      samples,
      results,
      unheard: this.#unheard.upTo(results),
      session: bytes,
    };
  }

  #leave(end: CallEnd, error?: RillError): void {
    if (this.#end === undefined) {
      this.#end = end;
      clearTimeout(this.#timer);
      this.#session?.discard();
      this.#parts.onGone();
      this.#options.onClose?.(end, error);
    }
  }
}

/** What tells two states of a call apart. */
const inShort = ({ samples, unheard }: { samples: number; unheard: readonly NumberedResult[] }) =>
  `${samples} ${unheard.map(({ number }) => number).join()}`;
