/**
 * sherpa-onnx's messages for a call that has a name, and goes on when its connection or its server is lost: results have
 * numbers, and the client is told which samples it may forget.
 */
import type { RillError, RillErrorCode } from '../errors.ts';
import type { TokenTable } from '../model/tokens.ts';
import type { Dialogue, Line } from './dialogue.ts';
import type { CallEnd, DurableCall } from './durable/call.ts';
import { LostCall } from './durable/calls.ts';
import { requireLength } from './limits.ts';
import { parseObject } from './parse-object.ts';
import { Refusal } from './refusal.ts';
import { SampleReader, inPieces } from './samples.ts';
import type { SentAudio } from './sent-audio.ts';
import { sherpaMessage } from './sherpa-message.ts';
import { DONE } from './sherpa.ts';

/** A call that has a name, as its client's address says it. */
export interface NamedCall extends SentAudio {
  /** Its name. */
  id: string;
  /** The number of the last result that the client has. */
  heard: number;
}

/** What becomes of such calls on this server. */
export interface DurableCallLimits {
  /** Whether another server can go on with them. */
  canMove: boolean;
  /** Seconds of audio in one call at most. */
  maxSeconds: number;
}

/** Codes of WebSockets: come back, here or elsewhere; another connection has the call; nothing is kept of it. */
const COME_BACK = 1012;
export const TAKEN_OVER = 4001;
export const LOST = 4004;
/** Failures that are the server's: the call goes on from its last save. */
const PASSING: readonly RillErrorCode[] = ['device-lost', 'closed'];

/** Its messages, each in turn. */
export class DurableDialogue implements Dialogue {
  readonly #canMove: boolean;
  readonly #line: Line;
  readonly #tokens: Pick<TokenTable, 'symbols'>;
  readonly #named: NamedCall;
  readonly #maxSeconds: number;
  readonly #reader: SampleReader;
  /** The call, once the client was told where to begin; nothing where it cannot be had. */
  readonly #opening: Promise<DurableCall | undefined>;
  /** Resolves when the call is not here any more. */
  readonly #gone: Promise<void>;
  #tellGone: () => void = () => undefined;
  /** Of the next sample that comes, in the call. */
  #position = 0;
  #isDone = false;
  #isOver = false;
  /** The server is about to end, and nobody else can go on: called when all is told. */
  #onConcluded: (() => void) | undefined;

  constructor(
    line: Line,
    tokens: Pick<TokenTable, 'symbols'>,
    named: NamedCall,
    { canMove, maxSeconds }: DurableCallLimits,
  ) {
    this.#line = line;
    this.#tokens = tokens;
    this.#named = named;
    this.#canMove = canMove;
    this.#maxSeconds = maxSeconds;
    this.#reader = new SampleReader(named.format);
    this.#gone = new Promise((resolve) => (this.#tellGone = resolve));
    this.#opening = this.#open();
  }

  async hear(message: string | Uint8Array): Promise<void> {
    const call = await this.#opening;
    if (!call) {
      return;
    }
    try {
      await (typeof message === 'string' ? this.#hearText(call, message) : this.#hearSamples(call, message));
    } catch (error) {
      // What comes when the call is no longer here: its client is told why.
      if (call.end === undefined || error instanceof Refusal) {
        throw error;
      }
    }
  }

  async move(): Promise<boolean> {
    const call = await this.#opening;
    return call === undefined || (this.#canMove && (await call.suspend()));
  }

  async conclude(): Promise<void> {
    const call = await this.#opening;
    if (call?.end === undefined && call && !(await this.move())) {
      const concluded = new Promise<void>((resolve) => (this.#onConcluded = resolve));
      call.finish();
      await concluded;
    }
  }

  async hangUp(): Promise<void> {
    const call = await this.#opening;
    if (call && !(await call.suspend())) {
      await this.#gone;
    }
  }

  async #open(): Promise<DurableCall | undefined> {
    const { id, sampleRate, heard } = this.#named;
    try {
      const call = await this.#line.resume({
        ...{ id, sampleRate, heard },
        onResult: (result, number) => {
          this.#send({ ...sherpaMessage(result, this.#tokens, false), number });
        },
        onAcknowledged: (acknowledged) => {
          this.#send({ acknowledged });
        },
        onClose: (end, error) => this.#end(end, error),
      });
      this.#position = call.acknowledged;
      this.#send({ acknowledged: call.acknowledged });
      return call;
    } catch (error) {
      if (error instanceof LostCall) {
        this.#line.close(LOST, error.message);
      } else {
        this.#line.fail(error);
      }
      return undefined;
    }
  }

  async #hearSamples(call: DurableCall, bytes: Uint8Array): Promise<void> {
    if (this.#isDone) {
      return;
    }
    const { sampleRate } = this.#named;
    for (const samples of inPieces(this.#reader.read(bytes), sampleRate)) {
      requireLength((this.#position + samples.length) / sampleRate, this.#maxSeconds);
      await call.ready();
      call.push(samples, this.#position);
      this.#position += samples.length;
    }
  }

  async #hearText(call: DurableCall, text: string): Promise<void> {
    if (text === DONE) {
      if (!this.#isDone) {
        this.#isDone = true;
        call.finish();
      }
      return;
    }
    const heard = parseObject(text)?.heard;
    if (typeof heard !== 'number' || !Number.isSafeInteger(heard) || heard < 0) {
      // What a client writes is not repeated: it may be anything.
      throw new Refusal('bad-request', {
        got: 'a text that is neither',
        expected: `${DONE}, or {"heard": the number of the last result that came}`,
        remedy: 'Send samples as binary messages, these as text, and what the samples are in the address.',
      });
    }
    await call.confirm(heard);
    this.#closeWhenHeard(call);
  }

  async #end(end: CallEnd, error?: RillError): Promise<void> {
    this.#tellGone();
    const call = await this.#opening;
    this.#isOver = end === 'finished';
    if (this.#onConcluded) {
      this.#onConcluded();
    } else if (this.#isOver && call) {
      this.#line.send(`${DONE}!`);
      this.#closeWhenHeard(call);
    } else if (end === 'failed' && !(error && PASSING.includes(error.code))) {
      this.#line.fail(error);
    } else {
      this.#line.close(...goodbye(end));
    }
  }

  /** Nothing is kept any more of a call that is over and heard. */
  #closeWhenHeard(call: DurableCall): void {
    if (this.#isOver && call.isConfirmed) {
      this.#line.close(1000, 'done');
    }
  }

  #send(message: object): void {
    this.#line.send(JSON.stringify(message));
  }
}

/** How a connection is closed whose call is no longer here. */
export function goodbye(end: CallEnd): [code: number, reason: string] {
  switch (end) {
    case 'moved':
      return [TAKEN_OVER, 'another connection has the call'];
    case 'idle':
      return [1000, 'nothing came for long'];
    default:
      return [COME_BACK, 'come back: the call goes on'];
  }
}
