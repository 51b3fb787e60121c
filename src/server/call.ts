import { wasLost } from '../encoder/lost.ts';
import { RillError } from '../errors.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { Session } from '../recognizer/sessions.ts';
import type { Waveform } from '../waveform/waveform.ts';
import type { CallEnd, CallOptions, HeardCall } from './dialogue.ts';
import type { Hearing } from './hearing.ts';
import { KeptAudio } from './kept-audio.ts';
import { Refusal } from './refusal.ts';

/** Longer audio is pushed in pieces of so many seconds: each waits for room, and none holds up the others. */
const PIECE_SECONDS = 2;

/** What a call runs on, and where it comes to its limits. */
export interface CallHost {
  /** What calls are heard on; while another device is being opened, what comes. @throws RillError */
  hearing(): Promise<Hearing>;
  /** Seconds of audio at most. */
  readonly maxCallSeconds: number;
  /** The call has ended. */
  forget(call: Call): void;
}

/** A session on a device. */
interface Running {
  hearing: Hearing;
  session: Session;
  /** Resolves once its end was dealt with. */
  over: Promise<void>;
}

/**
 * One call, over as many devices as it takes: when one is lost the call goes on with another, which hears again what was
 * said since the last pause.
 */
export class Call implements HeardCall {
  readonly #host: CallHost;
  readonly #options: CallOptions;
  #kept = new KeptAudio();
  #running: Promise<Running>;
  /** The same, once it is there. */
  #session: Session | undefined;
  /** Segments that were told before this session, and where it begins, in seconds of the call. */
  #before = { segments: 0, seconds: 0 };
  #seconds = 0;
  #isFinished = false;
  #end: CallEnd | undefined;

  /** Made by `Calls.open`. */
  constructor(host: CallHost, options: CallOptions) {
    this.#host = host;
    this.#options = options;
    this.#running = this.#start();
    this.#watchStart();
  }

  get seconds(): number {
    return this.#seconds;
  }

  /** Seconds of audio that wait to be decoded. */
  get backlogSeconds(): number {
    return this.#session?.isOpen ? this.#session.backlogSeconds : 0;
  }

  async push({ samples, sampleRate }: Waveform): Promise<void> {
    const length = Math.max(1, Math.round(PIECE_SECONDS * sampleRate));
    for (let at = 0; at < samples.length; at += length) {
      await this.#pushPiece({ samples: samples.subarray(at, at + length), sampleRate });
    }
  }

  async settled(): Promise<void> {
    await this.#whenever((session) => session.settled());
  }

  finish(): void {
    if (!this.#isFinished) {
      this.#isFinished = true;
      if (this.#session?.isOpen) {
        this.#session.finish();
      }
    }
  }

  discard(): void {
    this.#tellEnd('discarded');
    this.#session?.discard();
  }

  async #pushPiece(piece: Waveform): Promise<void> {
    const { session, hearing } = await this.#whenever((each) => each.ready());
    this.#checkLength(piece.samples.length / piece.sampleRate);
    session.push(piece);
    if (hearing.mayBeLost) {
      this.#kept.add(piece);
      this.#kept.dropBefore(segmentStart(session));
    }
  }

  #checkLength(seconds: number): void {
    this.#seconds += seconds;
    const { maxCallSeconds } = this.#host;
    if (this.#seconds > maxCallSeconds) {
      throw new Refusal('too-long', {
        got: `more than ${maxCallSeconds} s of audio in one call`,
        expected: `at most ${maxCallSeconds} s`,
        remedy: 'Open another call for the rest.',
      });
    }
  }

  /** Waits for something of the session; where its device is lost meanwhile, for the same of the next. */
  async #whenever(wait: (session: Session) => Promise<void>): Promise<Running> {
    for (;;) {
      const running = await this.#running;
      try {
        await wait(running.session);
        return running;
      } catch (error) {
        await running.over;
        if (this.#end !== undefined) {
          throw error;
        }
      }
    }
  }

  /** Opens a session, which hears first what the one before did not come to the end of. */
  async #start(): Promise<Running> {
    const hearing = await this.#host.hearing();
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    const session = await hearing.createSession({
      hotwords: this.#options.hotwords,
      onResult: (result) => {
        this.#options.onResult(this.#placed(result));
      },
      onClose: async (reason, error) => {
        await this.#sessionEnded({ hearing, session, over }, reason, error);
        end();
      },
    });
    this.#session = session;
    if (this.#end !== undefined) {
      session.discard();
    } else {
      this.#feed(session);
    }
    return { hearing, session, over };
  }

  #feed(session: Session): void {
    const heardAgain = this.#kept.from(0);
    if (heardAgain) {
      session.push(heardAgain);
    }
    if (this.#isFinished) {
      session.finish();
    }
  }

  /** A session that cannot be had ends the call. */
  #watchStart(): void {
    this.#running.catch((error: unknown) => {
      this.#tellEnd('failed', asRillError(error));
    });
  }

  async #sessionEnded({ hearing, session }: Running, reason: CallEnd, error?: RillError): Promise<void> {
    if (reason !== 'failed' || !(await wasLost(hearing.engine))) {
      this.#tellEnd(reason, error);
      return;
    }
    if (this.#end === undefined) {
      this.#rewind(session);
      this.#running = this.#start();
      this.#watchStart();
    }
  }

  /** What is to be heard again begins with the segment that was open. */
  #rewind(session: Session): void {
    const start = segmentStart(session);
    const kept = new KeptAudio();
    const audio = this.#kept.from(start);
    if (audio) {
      kept.add(audio);
    }
    this.#kept = kept;
    this.#before = {
      segments: this.#before.segments + session.stream.segment.index,
      seconds: this.#before.seconds + start,
    };
  }

  #tellEnd(end: CallEnd, error?: RillError): void {
    if (this.#end === undefined) {
      this.#end = end;
      this.#host.forget(this);
      this.#options.onEnd(end, error);
    }
  }

  /** A session's result, as one of the whole call. */
  #placed(result: RecognitionResult): RecognitionResult {
    const { segments, seconds } = this.#before;
    if (segments === 0 && seconds === 0) {
      return result;
    }
    const shifted = <Timed extends { start: number; end: number }>(each: Timed) => ({
      ...each,
      start: each.start + seconds,
      end: each.end + seconds,
    });
    return {
      ...result,
      timestamps: result.timestamps.map((time) => time + seconds),
      words: result.words.map(shifted),
      keywords: result.keywords.map(shifted),
      segment: result.segment + segments,
      startTime: result.startTime + seconds,
    };
  }
}

/** Where a session's open segment begins, in seconds from its start. */
const segmentStart = ({ stream }: Session) => stream.segment.startFrame * stream.secondsPerFrame;

const asRillError = (error: unknown) =>
  error instanceof RillError
    ? error
    : new RillError(
        'internal',
        { got: String(error), expected: 'a session', remedy: 'Please report it.' },
        { cause: error },
      );
