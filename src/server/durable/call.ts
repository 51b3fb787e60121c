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

/** A call that is silent for long is saved now and then all the same, so that the store does not forget it. */
const LEAST_OFTEN_MS = 60_000;

/** One call, on this server for now. Made by {@link DurableCalls.open}. */
export class DurableCall {
  /** Its name. */
  readonly id: string;
  readonly #options: CallOptions;
  readonly #parts: CallParts;
  readonly #unheard: Unheard;
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
  /** Saves come one after the other. */
  #saving: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @internal @param stored where it was on another server, or in another connection */
  constructor(options: CallOptions, parts: CallParts, stored: StoredCall | undefined) {
    this.id = options.id;
    this.#options = options;
    this.#parts = parts;
    this.#acknowledged = stored?.samples ?? 0;
    this.#told = stored?.results ?? 0;
    this.#unheard = new Unheard(stored?.unheard);
    this.#unheard.confirm(options.heard ?? 0);
    for (const { result, number } of this.#unheard.upTo(Infinity)) {
      this.#options.onResult?.(result, number);
    }
  }

  /** Samples whose state is safe: the client goes on with the next one. */
  get acknowledged(): number {
    return this.#acknowledged;
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
    return this.#unheard.upTo(Infinity).length === 0;
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
    // When whoever opens it has it.
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
        expected: `from ${session.samples} on at the latest, in call ${this.id}`,
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

  /**
   * The client has all results up to a number: they need not be kept for it. Of a call that has ended nothing is, then.
   *
   * @throws RillError `network` where a call that has ended cannot be removed from the store.
   */
  async confirm(results: number): Promise<void> {
    this.#unheard.confirm(results);
    if (this.#isOver && this.isConfirmed) {
      await this.#parts.store.remove(this.id, this.#parts.owner);
    }
  }

  /** Saves it now. What goes wrong is told to `onError`, as it is of the saves in between. */
  async save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    await this.#saving;
  }

  /** Saves it and lets it go: its client has gone, or the server is about to. It can go on here or anywhere. */
  async suspend(): Promise<void> {
    await this.#letGo('suspended');
  }

  /** @internal As {@link suspend}, for another connection of its client. */
  async handOver(): Promise<void> {
    await this.#letGo('moved');
  }

  /** Ends it without its last words; nothing of it is kept. @throws RillError `network`. */
  async discard(): Promise<void> {
    this.#leave('discarded');
    await this.#saving;
    await this.#parts.store.remove(this.id, this.#parts.owner);
  }

  async #letGo(end: CallEnd): Promise<void> {
    if (this.#end === undefined) {
      await this.save();
      this.#leave(end);
    }
  }

  #here(): Session {
    if (!this.#session || this.#end !== undefined) {
      throw new RillError('closed', {
        got: `call ${this.id}, which is no longer here (${this.#end ?? 'not begun'})`,
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
      void this.save().then(() => {
        if (this.#end === undefined) {
          this.#scheduleSave();
        }
      });
    }, 1000 * this.#parts.saveSeconds);
  }

  async #save(): Promise<void> {
    try {
      const call = await this.#current();
      if (!call) {
        return;
      }
      if (!(await this.#parts.store.save(this.id, this.#parts.owner, writeCall(call)))) {
        this.#leave('moved');
        return;
      }
      this.#savedAt = performance.now();
      this.#saved = inShort(call);
      if (call.samples > this.#acknowledged) {
        this.#acknowledged = call.samples;
        this.#options.onAcknowledged?.(call.samples);
      }
    } catch (error) {
      if (this.#end === undefined && (this.#isOver || this.#session?.isOpen)) {
        this.#parts.onError(this.id, error);
      }
    }
  }

  /** What is to be saved now; nothing where that was saved already. */
  async #current(): Promise<StoredCall | undefined> {
    const session = this.#session;
    if (!session || this.#end !== undefined) {
      return undefined;
    }
    const { sampleRate } = this.#options;
    if (this.#isOver) {
      const { samples, results } = session;
      return { sampleRate, samples, results, unheard: this.#unheard.upTo(results), session: undefined };
    }
    if (!session.isOpen) {
      return undefined;
    }
    const isDue = performance.now() - this.#savedAt > LEAST_OFTEN_MS;
    const now = { samples: session.samples, unheard: this.#unheard.upTo(session.results) };
    if (!isDue && inShort(now) === this.#saved) {
      return undefined;
    }
    const { bytes, samples, results } = await session.snapshot();
    return { sampleRate, samples, results, unheard: this.#unheard.upTo(results), session: bytes };
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
