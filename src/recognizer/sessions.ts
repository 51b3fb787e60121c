import { RillError } from '../errors.ts';
import { checkWaveform, type Waveform } from '../waveform/waveform.ts';
import type { OnlineRecognizer, StreamOptions } from './recognizer.ts';
import { StreamReports } from './reports.ts';
import type { RecognitionResult } from './results.ts';
import { Scheduler } from './scheduler.ts';
import type { StreamSnapshot } from './stream-snapshot.ts';
import type { OnlineStream, StreamStats } from './stream.ts';

/** Limits of a {@link SessionManager}. */
export interface SessionManagerOptions {
  /** Sessions at a time; as many as the recognizer has streams by default. */
  maxSessions?: number;
  /** A session that neither brings audio nor has any left to decode for this long is closed; 60 by default. */
  idleSeconds?: number;
  /** Audio, in seconds, that may wait in a session before it takes no more; 30 by default. */
  maxBacklogSeconds?: number;
  /** Called after each step, for whoever measures. */
  onStep?: (step: SessionStep) => void;
}

/** What a step of a {@link SessionManager} was. */
export interface SessionStep {
  /** Sessions that it advanced. */
  sessions: number;
  /** Seconds of audio that it decoded, all sessions together. */
  audioSeconds: number;
  /** Milliseconds that the engine took for it. */
  engineMs: number;
}

export interface SessionOptions extends StreamOptions {
  /** Called with each result that says something new, and with the final one of each segment. */
  onResult?: (result: RecognitionResult) => unknown;
  /** Called once, when the session has ended: on its own, by a timeout, or by a failure, which is named. */
  onClose?: (reason: 'finished' | 'discarded' | 'idle' | 'failed', error?: RillError) => unknown;
  /** Called in place of ending the session when nothing has come for the manager's `idleSeconds`; and again after as long. */
  onIdle?: () => unknown;
}

/** Those of whom a session tells. */
export type SessionHandlers = Pick<SessionOptions, 'onResult' | 'onClose' | 'onIdle'>;

/** Why a session has ended: all of it was decoded, it was discarded, it was idle, or it failed. */
export type CloseReason = Parameters<NonNullable<SessionOptions['onClose']>>[0];

/** Who waits for something of a session. */
interface Waiter {
  resolve: () => void;
  reject: (error: RillError) => void;
}

/** What a chunk of a session cost. */
type ChunkCost = Omit<SessionStep, 'sessions'>;

/** A piece of audio this long is always taken from a session of which none waits: its features take some 50 ms. */
const LONG_PIECE_SECONDS = 60;
const IDLE_CHECKS = 4;
/** Timers cannot wait for longer than 2 ^ 31 ms; once a minute is often enough. */
const LONGEST_CHECK_MS = 60_000;

/** One call: audio in, results out; to the scheduler a `Scheduled`. Made by {@link SessionManager.create}. */
export class Session {
  /** Tells it from the other sessions of its manager. */
  readonly id: number;
  readonly #manager: SessionManager;
  readonly #stream: OnlineStream;
  readonly #options: SessionOptions;
  /** When audio came, or the last of it was decoded. */
  #lastActive = performance.now();
  readonly #reports: StreamReports;
  #closed: CloseReason | undefined;
  /** Of all chunks so far, and of those whose step nobody was told of yet. */
  #costBefore: ChunkCost = { audioSeconds: 0, engineMs: 0 };
  readonly #costs: ChunkCost[] = [];
  /** Who waits for room. */
  readonly #waiters: Waiter[] = [];
  /** Who waits until nothing is left to decode for now. */
  readonly #settling: Waiter[] = [];

  /** @internal */
  constructor(id: number, manager: SessionManager, stream: OnlineStream, options: SessionOptions) {
    this.id = id;
    this.#manager = manager;
    this.#stream = stream;
    this.#reports = new StreamReports(manager.recognizer, stream);
    this.#options = options;
    stream.onAdvance = () => {
      this.#lastActive = performance.now();
      this.#addCost();
      this.report();
      this.#tellRoom();
      this.#tellSettled();
    };
    stream.state.onClose = (error = this.#recognizerClosed()) => {
      this.end('failed', error);
    };
  }

  /**
   * Waits until there is room again: a source that is faster than the decoding waits before each push, and none of its
   * pieces, up to half of `maxBacklogSeconds` each, is refused.
   *
   * ```ts
   * for await (const samples of source) {
   *   await session.ready();
   *   session.push({ samples, sampleRate });
   * }
   * ```
   *
   * @throws RillError `closed` when the session has ended, or ends meanwhile.
   */
  async ready(): Promise<void> {
    this.#check();
    if (!this.#hasRoom) {
      await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    }
  }

  /**
   * Waits until all that was pushed is decoded, but for what does not fill a chunk: what was heard in it has been told
   * then.
   *
   * @throws RillError `closed` when the session has ended, or ends meanwhile.
   */
  async settled(): Promise<void> {
    this.#check();
    if (this.#isBusy) {
      await new Promise<void>((resolve, reject) => this.#settling.push({ resolve, reject }));
    }
  }

  get #isBusy(): boolean {
    return this.isUnderWay || this.isReady;
  }

  get #hasRoom(): boolean {
    return !this.#isBusy || this.#stream.secondsWaiting <= this.#manager.options.maxBacklogSeconds / 2;
  }

  #tellRoom(): void {
    if (this.isOpen && this.#hasRoom) {
      this.#waiters.splice(0).forEach(({ resolve }) => {
        resolve();
      });
    }
  }

  #tellSettled(): void {
    if (this.isOpen && !this.#isBusy) {
      this.#settling.splice(0).forEach(({ resolve }) => {
        resolve();
      });
    }
  }

  /**
   * Takes the next samples.
   *
   * @throws RillError `bad-audio` as {@link OnlineStream.acceptWaveform}, `closed` after the end, `bad-argument` for a
   * piece so long that its features would hold up the others, `busy` when the session is too far ahead of its decoding:
   * nothing was taken then, and the same samples can be pushed again.
   */
  push(chunk: Waveform): void {
    this.#check();
    checkWaveform(chunk);
    const seconds = chunk.samples.length / chunk.sampleRate;
    // A rate that makes no sense is acceptWaveform's to refuse.
    if (Number.isFinite(seconds)) {
      this.#checkRoom(seconds);
    }
    this.#stream.acceptWaveform(chunk);
    this.#lastActive = performance.now();
    this.wake();
  }

  #checkRoom(seconds: number): void {
    const { maxBacklogSeconds } = this.#manager.options;
    const longest = Math.max(maxBacklogSeconds, LONG_PIECE_SECONDS);
    if (seconds > longest) {
      throw new RillError('bad-argument', {
        got: `${seconds.toFixed(1)} s of audio in one piece for session ${this.id}`,
        expected: `at most ${longest} s`,
        remedy: 'Push it in pieces, or raise maxBacklogSeconds.',
      });
    }
    const backlog = this.#stream.secondsWaiting + seconds;
    if (this.#isBusy && backlog > maxBacklogSeconds) {
      throw new RillError('busy', {
        got: `${backlog.toFixed(1)} s of audio ahead of the decoding in session ${this.id}`,
        expected: `at most ${maxBacklogSeconds} s`,
        remedy: 'Await session.ready() before each push; if the audio comes live, this machine has too many sessions.',
      });
    }
  }

  /** Ends the input: what is left is decoded, then the session ends with a last result. */
  finish(): void {
    this.#check();
    this.#stream.inputFinished();
    this.wake();
  }

  /**
   * Ends the session now and **loses its last words**: what was not decoded yet is given up. For callers who have hung up;
   * {@link finish} ends a session with all that was said.
   */
  discard(): void {
    this.end('discarded');
  }

  /** As {@link discard}. */
  [Symbol.dispose](): void {
    this.discard();
  }

  /**
   * The session as bytes, with how far it was: {@link SessionManager.restore} makes a session of it that goes on from there,
   * and tells byte for byte what this one would have told. Results that were told are counted, and not told again.
   *
   * @throws RillError `closed` when it has ended, or ends meanwhile; `device-lost`, `gpu`.
   */
  async snapshot(): Promise<StreamSnapshot> {
    this.#check();
    try {
      return await this.#manager.recognizer.snapshot(this.#stream);
    } finally {
      this.wake();
    }
  }

  /** @internal Audio of it may wait. */
  wake(): void {
    if (this.isOpen) {
      this.#manager.wake(this);
    }
  }

  /** Samples taken so far, at the rate that they came at; also those before a snapshot that it was restored from. */
  get samples(): number {
    return this.#stream.samples;
  }

  /** Results told so far, also those before a snapshot that it was restored from. */
  get results(): number {
    return this.#stream.told.count;
  }

  /** Whether it can take audio, or has any left to decode. */
  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** What was heard in the current segment so far. */
  get result(): RecognitionResult {
    return this.#manager.recognizer.getResult(this.#stream);
  }

  /** Seconds of audio that wait to be decoded. */
  get backlogSeconds(): number {
    return this.#stream.secondsWaiting;
  }

  /** Seconds since audio came, or was decoded, last. */
  get idleSeconds(): number {
    return (performance.now() - this.#lastActive) / 1000;
  }

  /** What it has cost so far. */
  get stats(): StreamStats {
    return this.#stream.stats;
  }

  /** @internal What the oldest chunk cost that was not asked for yet. */
  takeCost(): ChunkCost | undefined {
    return this.#costs.shift();
  }

  #addCost(): void {
    const { audioSeconds, computeMs, readbackMs } = this.stats;
    const before = this.#costBefore;
    this.#costBefore = { audioSeconds, engineMs: computeMs + readbackMs };
    this.#costs.push({
      audioSeconds: audioSeconds - before.audioSeconds,
      engineMs: this.#costBefore.engineMs - before.engineMs,
    });
  }

  /** @internal */
  get stream(): OnlineStream {
    return this.#stream;
  }

  /** @internal */
  get isReady(): boolean {
    return this.isOpen && !this.#stream.pause && this.#manager.recognizer.isReady(this.#stream);
  }

  /** @internal */
  get isUnderWay(): boolean {
    return this.#stream.isUnderWay || this.#stream.pause !== undefined;
  }

  /** @internal One that ended without a frame left to decode has its last result already. */
  onIdle(): void {
    if (this.isOpen && this.#stream.isInputFinished) {
      this.report();
    }
    this.#tellSettled();
  }

  /** @internal Tells what the last chunk brought. */
  report(): void {
    if (!this.isOpen) {
      return;
    }
    const result = this.#reports.next();
    if (result) {
      this.#tell(result);
    }
    if (this.#reports.ended) {
      this.end('finished');
    }
  }

  /** Hands a result to the session's own handler; one that fails, now or later, ends this session and no other. */
  #tell(result: RecognitionResult): void {
    try {
      Promise.resolve(this.#options.onResult?.(result)).catch((cause: unknown) => {
        this.#failInHandler(cause);
      });
    } catch (cause) {
      this.#failInHandler(cause);
    }
  }

  #failInHandler(cause: unknown): void {
    const complaint = {
      got: `an error from the session's own handler (${String(cause)})`,
      expected: 'a handler that returns',
      remedy: 'Mend the handler; the other sessions go on.',
    };
    this.end('failed', cause instanceof RillError ? cause : new RillError('bad-argument', complaint, { cause }));
  }

  #recognizerClosed(): RillError {
    return new RillError('closed', {
      got: `session ${this.id} of a recognizer that was disposed of`,
      expected: 'an open recognizer',
      remedy: 'Dispose of the sessions first.',
    });
  }

  /** @internal Its search, or its step, has failed. */
  fail(cause: unknown): void {
    const complaint = {
      got: `a search that failed (${String(cause)})`,
      expected: 'one that goes on',
      remedy: 'Please report it, with what was said if you may; the other sessions go on.',
    };
    this.end('failed', cause instanceof RillError ? cause : new RillError('internal', complaint, { cause }));
  }

  /** @internal Nothing has come for long: tells what was heard as final, and ends; unless its owner decides. */
  endIdle(): void {
    if (this.#options.onIdle) {
      this.#lastActive = performance.now();
      this.#options.onIdle();
      return;
    }
    const result = this.#reports.close();
    if (result) {
      this.#tell(result);
    }
    this.end('idle');
  }

  /** @internal */
  end(reason: CloseReason, error?: RillError): void {
    if (this.isOpen) {
      this.#closed = reason;
      [...this.#waiters.splice(0), ...this.#settling.splice(0)].forEach(({ reject }) => {
        reject(this.#ended(reason));
      });
      this.#stream.dispose();
      this.#manager.forget(this);
      // A handler of one session must not harm the others; this one has ended anyway.
      void Promise.resolve()
        .then(() => this.#options.onClose?.(reason, error))
        .catch(() => undefined);
    }
  }

  #check(): void {
    if (this.#closed !== undefined) {
      throw this.#ended(this.#closed);
    }
  }

  #ended(reason: CloseReason): RillError {
    return new RillError('closed', {
      got: `session ${this.id}, which has ended (${reason})`,
      expected: 'an open session',
      remedy: 'Create a new session.',
    });
  }
}

/**
 * Many calls over one recognizer: sessions come, pause and go at any time, and whatever is ready goes into one GPU
 * step. With more ready sessions than lanes, those that wait longest go first, so that none waits for more than one
 * round of the others. A session's results are the same alone and among hundreds.
 *
 * ```ts
 * const sessions = new SessionManager(recognizer, { idleSeconds: 30 });
 * const session = sessions.create({ onResult: ({ text }) => console.log(text) });
 * session.push({ samples, sampleRate });
 * session.finish();
 * ```
 */
export class SessionManager {
  /** What all sessions run on. */
  readonly recognizer: OnlineRecognizer;
  /** Its limits, defaults filled in. */
  readonly options: Readonly<Required<Omit<SessionManagerOptions, 'onStep'>>>;
  readonly #onStep: SessionManagerOptions['onStep'];
  readonly #sessions = new Map<number, Session>();
  readonly #scheduler: Scheduler<Session>;
  #nextId = 1;
  #idleTimer: ReturnType<typeof setInterval> | undefined;

  /** @throws RillError `bad-argument` for options out of range. */
  constructor(
    recognizer: OnlineRecognizer,
    {
      maxSessions = recognizer.encoder.capacity.maxStreams,
      idleSeconds = 60,
      maxBacklogSeconds = 30,
      onStep,
    }: SessionManagerOptions = {},
  ) {
    this.#onStep = onStep;
    this.recognizer = recognizer;
    this.options = { maxSessions, idleSeconds, maxBacklogSeconds };
    this.#scheduler = new Scheduler(
      (sessions) => this.#step(sessions),
      () => recognizer.encoder.capacity.maxLanes,
    );
    const { maxStreams } = recognizer.encoder.capacity;
    if (!Number.isInteger(maxSessions) || maxSessions < 1 || maxSessions > maxStreams) {
      throw new RillError('bad-argument', {
        got: `maxSessions: ${maxSessions}`,
        expected: `a whole number from 1 to ${maxStreams}`,
        remedy: 'Create the recognizer with a larger maxStreams.',
      });
    }
    if (![idleSeconds, maxBacklogSeconds].every((each) => typeof each === 'number' && each > 0)) {
      throw new RillError('bad-argument', {
        got: `idleSeconds: ${idleSeconds}, maxBacklogSeconds: ${maxBacklogSeconds}`,
        expected: 'more than 0 seconds',
        remedy: 'Leave them out for the defaults; Infinity for no limit.',
      });
    }
  }

  /**
   * Opens a session.
   *
   * @throws RillError `busy` when there are as many as allowed, `bad-argument` for hotwords that do not fit.
   */
  create(options: SessionOptions = {}): Session {
    this.#requireRoom();
    return this.#open(this.recognizer.createStream(options), options);
  }

  /**
   * Opens a session that goes on where another was when {@link Session.snapshot} gave these bytes, here or on another
   * machine with the same model and options. Its first sample is the one behind those of the snapshot.
   *
   * @param handlers as for {@link create}; hotwords and keywords of its own come with the snapshot
   * @throws RillError `bad-snapshot` as {@link OnlineRecognizer.restoreStream}, `busy` when there are as many as allowed.
   */
  async restore(bytes: Uint8Array, handlers: SessionHandlers = {}): Promise<Session> {
    this.#requireRoom();
    const stream = await this.recognizer.restoreStream(bytes);
    try {
      this.#requireRoom();
    } catch (error) {
      stream.dispose();
      throw error;
    }
    const session = this.#open(stream, handlers);
    session.wake();
    return session;
  }

  #requireRoom(): void {
    const { maxSessions } = this.options;
    if (this.#sessions.size >= maxSessions) {
      throw new RillError('busy', {
        got: `session number ${maxSessions + 1}`,
        expected: `at most ${maxSessions} at a time`,
        remedy: 'Try again when another has ended, or take it to another machine.',
      });
    }
  }

  #open(stream: OnlineStream, options: SessionOptions): Session {
    const session = new Session(this.#nextId++, this, stream, options);
    this.#sessions.set(session.id, session);
    this.#watchIdle();
    return session;
  }

  /** An open session by its id. */
  get(id: number): Session | undefined {
    return this.#sessions.get(id);
  }

  /** All open sessions, in the order they came. */
  list(): Session[] {
    return [...this.#sessions.values()];
  }

  /** Ends all sessions at once, as {@link Session.discard}. The recognizer stays. */
  dispose(): void {
    for (const session of [...this.#sessions.values()]) {
      session.discard();
    }
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal A session may have become ready. */
  wake(session: Session): void {
    this.#scheduler.wake(session);
  }

  /** @internal */
  forget(session: Session): void {
    this.#sessions.delete(session.id);
    this.#scheduler.forget(session);
    if (this.#sessions.size === 0) {
      clearInterval(this.#idleTimer);
      this.#idleTimer = undefined;
    }
  }

  async #step(sessions: readonly Session[]): Promise<void> {
    try {
      await this.recognizer.decode(sessions.map(({ stream }) => stream));
    } catch (error) {
      // What failed in one stream's search is that stream's; anything else is everybody's.
      const failed = sessions.filter(({ stream }) => stream.hasFailed);
      (failed.length > 0 ? failed : sessions).forEach((session) => {
        session.fail(error);
      });
      return;
    }
    this.#onStep?.(stepOf(sessions.flatMap((session) => session.takeCost() ?? [])));
  }

  #watchIdle(): void {
    const { idleSeconds } = this.options;
    if (this.#idleTimer !== undefined || idleSeconds === Infinity) {
      return;
    }
    this.#idleTimer = setInterval(
      () => {
        for (const session of [...this.#sessions.values()]) {
          if (session.idleSeconds > idleSeconds && !this.#scheduler.isAwake(session)) {
            session.endIdle();
          }
        }
      },
      Math.min((1000 * idleSeconds) / IDLE_CHECKS, LONGEST_CHECK_MS),
    );
  }
}

/** A step, by what it cost each of its sessions. */
function stepOf(costs: readonly ChunkCost[]): SessionStep {
  return {
    sessions: costs.length,
    audioSeconds: costs.reduce((sum, { audioSeconds }) => sum + audioSeconds, 0),
    // A step's time is that of each of its streams.
    engineMs: Math.max(0, ...costs.map(({ engineMs }) => engineMs)),
  };
}
