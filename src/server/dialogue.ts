import type { RillError } from '../errors.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { CloseReason } from '../recognizer/sessions.ts';
import type { Waveform } from '../waveform/waveform.ts';
import type { CallOptions, DurableCall } from './durable/call.ts';

/** What a call is told, and whom it tells. */
export interface HeardCallOptions {
  /** Phrases to favour, as the text of a hotwords file. */
  hotwords?: string;
  /** Called with each result that says something new, and with the final one of each segment. */
  onResult: (result: RecognitionResult) => void;
  /** Called once. */
  onEnd: (end: CloseReason, error?: RillError) => void;
}

/** One call, as the protocols see it. */
export interface HeardCall {
  /** Seconds of audio that came. */
  readonly seconds: number;
  /** Takes samples, as soon as there is room for them. @throws RillError what is wrong with them; `closed`. */
  push(audio: Waveform): Promise<void>;
  /** Waits until all whole chunks of what was pushed are decoded, and told. @throws RillError `closed` */
  settled(): Promise<void>;
  /** Ends the input: the last results come, then the end. */
  finish(): void;
  /** Ends it at once, without its last words. */
  discard(): void;
}

/** What a protocol speaks through. */
export interface Line {
  /** Sends a text message. */
  send(text: string): void;
  /** Opens a call. @throws RillError for options that do not fit. */
  open(options: HeardCallOptions): HeardCall;
  /** Opens a call that has a name, or goes on with it. @throws RillError as `DurableCalls.open` */
  resume(options: CallOptions): Promise<DurableCall>;
  /** Says good-bye. @param code of WebSockets */
  close(code: number, reason: string): void;
  /** Closes it for what went wrong. */
  fail(error: unknown): void;
}

/** One client's side of a protocol, as messages: knows nothing of sockets. */
export interface Dialogue {
  /** Answers a message; the next one comes when this one is done with. @throws RillError what is wrong with it. */
  hear(message: string | Uint8Array): Promise<void>;
  /** The server is about to go: tells what was heard so far, if the protocol has a way to. */
  conclude(): Promise<void>;
  /** The server is about to go, and another can go on with the call. @returns whether this one need not wait for it */
  move?(): Promise<boolean>;
  /** The client has gone. @returns resolves when its call is not here any more; nothing where that is at once */
  hangUp(): Promise<void> | undefined;
}
