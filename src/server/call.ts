import { wasLost } from '../encoder/lost.ts';
import { RillError } from '../errors.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { CloseReason, Session } from '../recognizer/sessions.ts';
import type { Waveform } from '../waveform/waveform.ts';
import type { HeardCall, HeardCallOptions } from './dialogue.ts';
import type { LoadedModel } from './loaded-model.ts';
import { KeptAudio } from './kept-audio.ts';
import { requireLength } from './limits.ts';
import { inPieces } from './samples.ts';

/** What a call runs on, and where it comes to its limits. */
export interface CallHost {
  /** What calls are heard on; while another device is being opened, what comes. @throws RillError */
  loaded(): Promise<LoadedModel>;
  /** Seconds of audio at most. */
  readonly maxCallSeconds: number;
  /** The call has ended. */
  forget(call: Call): void;
}

/** A session on a device. */
interface Running {
  loaded: LoadedModel;
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
  readonly #options: HeardCallOptions;
  #kept = new KeptAudio();
  #running: Promise<Running>;
  /** The same, once it is there. */
  #session: Session | undefined;
  /** Segments that were told before this session, and where it begins, in seconds of the call. */
  #before = { segments: 0, seconds: 0 };
  #seconds = 0;
  #isFinished = false;
  #end: CloseReason | undefined;

  /** Made by `Calls.open`. */
  constructor(host: CallHost, options: HeardCallOptions) {
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
    for (const piece of inPieces(samples, sampleRate)) {
      await this.#pushPiece({ samples: piece, sampleRate });
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
    const { session, loaded } = await this.#whenever((each) => each.ready());
    this.#seconds += piece.samples.length / piece.sampleRate;
    requireLength(this.#seconds, this.#host.maxCallSeconds);
    session.push(piece);
    if (loaded.mayBeLost) {
      this.#kept.add(piece);
      this.#kept.dropBefore(segmentStart(session));
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
    const loaded = await this.#host.loaded();
    let end: () => void = () => undefined;
    const over = new Promise<void>((resolve) => (end = resolve));
    const session = await loaded.createSession({
      hotwords: this.#options.hotwords,
      onResult: (result) => {
        this.#options.onResult(this.#placed(result));
      },
      onClose: async (reason, error) => {
        await this.#sessionEnded({ loaded, session, over }, reason, error);
        end();
      },
    });
    this.#session = session;
    if (this.#end !== undefined) {
      session.discard();
    } else {
      this.#feed(session);
    }
    return { loaded, session, over };
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

  async #sessionEnded({ loaded, session }: Running, reason: CloseReason, error?: RillError): Promise<void> {
    if (reason !== 'failed' || !(await wasLost(loaded.engine))) {
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

  #tellEnd(end: CloseReason, error?: RillError): void {
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
