import type { RawData, WebSocket } from 'ws';
import type { RillError } from '../errors.ts';
import type { CloseReason } from '../recognizer/sessions.ts';
import type { Dialogue, HeardCall, HeardCallOptions, Line } from './dialogue.ts';
import type { CallEnd, CallOptions, DurableCall } from './durable/call.ts';
import type { Outcome } from './journal.ts';
import type { ServerLimits } from './limits.ts';
import { Refusal, closeCodeOf, wordsFor, type RefusalReason } from './refusal.ts';

/** Messages of a client that may wait for the one before them, until its socket is no longer read. */
const MOST_WAITING = 4;
/** Bytes that a reason of a close may have. */
const LONGEST_REASON = 123;
/** Whoever does not answer a close is gone. */
const CLOSE_MS = 5000;
/** Whatever is to be looked at now and then is looked at so often. */
const CHECKS = 4;

/** What a connection needs of its server. */
export interface ConnectionHost {
  readonly limits: Readonly<ServerLimits>;
  /** Opens a call. @throws RillError */
  open(options: HeardCallOptions): HeardCall;
  /** Opens a call that has a name, or goes on with it. @throws RillError */
  resume(options: CallOptions, connection: Connection): Promise<DurableCall>;
  /** A client got no further. */
  refused(reason: RefusalReason): void;
  /** The socket is closed. @param left resolves when its call is not here any more; nothing where it is not */
  gone(connection: Connection, outcome: Outcome, left: Promise<void> | undefined): void;
}

/**
 * A WebSocket that a protocol is spoken through: messages one after the other, with back-pressure; results not faster than
 * they are read; and an end to whoever is silent, gone, or in the way.
 */
export class Connection implements Line {
  readonly #socket: WebSocket;
  readonly #host: ConnectionHost;
  readonly #dialogue: Dialogue;
  /** The messages so far, one behind the other. */
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  #openCalls = 0;
  #lastHeard = performance.now();
  #lastSign = performance.now();
  #failure: unknown;
  #isClosing = false;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param speak makes the protocol's side. @throws RillError what it throws */
  constructor(socket: WebSocket, host: ConnectionHost, speak: (line: Line) => Dialogue) {
    this.#socket = socket;
    this.#host = host;
    this.#dialogue = speak(this);
    socket.on('message', (data, isBinary) => {
      this.#receive(data, isBinary);
    });
    socket.on('pong', () => {
      this.#lastSign = performance.now();
    });
    // What is wrong with a frame: ws closes the socket itself, with the code for it.
    socket.on('error', (error) => {
      const refusal = refusalOf(error, host.limits);
      if (refusal) {
        host.refused(refusal.reason);
      }
      this.#failure ??= refusal ?? error;
    });
    socket.on('close', (code) => {
      clearInterval(this.#timer);
      this.#isClosing = true;
      host.gone(this, { code, error: this.#failure }, this.#dialogue.hangUp());
    });
    const { idleSeconds, pingSeconds } = host.limits;
    this.#timer = setInterval(
      () => {
        this.#check();
      },
      Math.min((1000 * Math.min(idleSeconds, pingSeconds)) / CHECKS, 5000),
    );
  }

  send(text: string): void {
    if (this.#isClosing) {
      return;
    }
    this.#socket.send(text);
    if (this.#socket.bufferedAmount > this.#host.limits.maxUnsentBytes) {
      this.#failure = new Refusal('slow', {
        got: `${this.#socket.bufferedAmount} bytes of results that the client has not read`,
        expected: `at most ${this.#host.limits.maxUnsentBytes}`,
        remedy: 'Read results as they come.',
      });
      this.#host.refused('slow');
      this.#socket.terminate();
    }
  }

  open(options: HeardCallOptions): HeardCall {
    this.#openCalls++;
    try {
      return this.#host.open({
        ...options,
        onEnd: (end: CloseReason, error) => {
          this.#openCalls--;
          options.onEnd(end, error);
        },
      });
    } catch (error) {
      this.#openCalls--;
      throw error;
    }
  }

  async resume(options: CallOptions): Promise<DurableCall> {
    this.#openCalls++;
    try {
      const onClose = (end: CallEnd, error?: RillError) => {
        this.#openCalls--;
        return options.onClose?.(end, error);
      };
      return await this.#host.resume({ ...options, onClose }, this);
    } catch (error) {
      this.#openCalls--;
      throw error;
    }
  }

  close(code: number, reason: string): void {
    if (!this.#isClosing) {
      this.#isClosing = true;
      this.#socket.close(code, shortened(reason));
      // Whoever stopped reading or answering does not hold a place.
      setTimeout(() => {
        this.#socket.terminate();
      }, CLOSE_MS).unref();
      this.#socket.resume();
    }
  }

  fail(error: unknown): void {
    if (!this.#isClosing) {
      this.#failure = error;
      if (error instanceof Refusal) {
        this.#host.refused(error.reason);
      }
      this.close(closeCodeOf(error), wordsFor(error));
    }
  }

  /** Tells what was heard, and says that the server goes. */
  async leave(code: number, reason: string): Promise<void> {
    await Promise.race([this.#dialogue.conclude(), new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())]);
    this.close(code, reason);
  }

  /** Lets go of what another server can go on with; a call that cannot be let go stays. */
  async move(code: number, reason: string): Promise<void> {
    if (!this.isInCall || (await this.#dialogue.move?.())) {
      this.close(code, reason);
    }
  }

  /** Whether a call is under way. */
  get isInCall(): boolean {
    return this.#openCalls > 0;
  }

  #receive(data: RawData, isBinary: boolean): void {
    const now = performance.now();
    this.#lastHeard = this.#lastSign = now;
    const message = isBinary ? bytesOf(data) : bytesOf(data).toString();
    this.#waiting++;
    if (this.#waiting > MOST_WAITING) {
      this.#socket.pause();
    }
    this.#turn = this.#turn.then(() => this.#hear(message));
  }

  async #hear(message: string | Uint8Array): Promise<void> {
    try {
      if (!this.#isClosing) {
        await this.#dialogue.hear(message);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && this.#socket.isPaused) {
        this.#lastSign = performance.now();
        this.#socket.resume();
      }
    }
  }

  #check(): void {
    const now = performance.now();
    const { idleSeconds, pingSeconds } = this.#host.limits;
    // A call that goes on has an idle time of its own; a socket that is not read cannot bring a sign of life.
    if (!this.isInCall && now - this.#lastHeard > 1000 * idleSeconds) {
      this.close(1000, 'nothing came for long');
    } else if (!this.#socket.isPaused && now - this.#lastSign > 2000 * pingSeconds) {
      this.#socket.terminate();
    } else if (now - this.#lastSign > 500 * pingSeconds) {
      this.#socket.ping();
    }
  }
}

/** A message that is too large, or no frame of a WebSocket, is its client's fault. */
function refusalOf(error: Error & { code?: string }, { maxMessageBytes }: ServerLimits): Refusal | undefined {
  if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
    return new Refusal('too-large', {
      got: 'a message that is too large',
      expected: `at most ${maxMessageBytes} bytes`,
      remedy: 'Send samples in several messages.',
    });
  }
  return error.code?.startsWith('WS_ERR_')
    ? new Refusal('bad-request', { got: error.message, expected: 'a WebSocket', remedy: 'Check the client.' })
    : undefined;
}

/** As much of it as a close may have; no character is cut in two. */
const shortened = (reason: string) =>
  new TextDecoder().decode(Buffer.from(reason).subarray(0, LONGEST_REASON), { stream: true });

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) {
    return Buffer.concat(data);
  }
  return data instanceof ArrayBuffer ? Buffer.from(data) : data;
}
