import { RillError, type RillErrorCode } from '../../errors.ts';
import type { OnlineRecognizer } from '../../recognizer/recognizer.ts';
import type { RecognitionResult } from '../../recognizer/results.ts';
import { SessionManager, type Session, type SessionOptions } from '../../recognizer/sessions.ts';
import type { Waveform } from '../../waveform/waveform.ts';
import type { CorpusFile } from './corpus-file.ts';
import { Lanes } from './lanes.ts';

/** A recording that is open. */
export interface OpenAudio {
  /** Pieces of any length, all of one rate. */
  audio: AsyncIterable<Waveform> | Iterable<Waveform>;
  /** Nobody wants more of it. */
  close?: () => void;
}

/** What was heard in a file. */
export interface Heard {
  /** The last result of each segment, in order. */
  segments: RecognitionResult[];
  /** How much audio there was. */
  seconds: number;
}

/** What is told of the files of one {@link Hearing.hear}. Promises are waited for. */
export interface HearingReports {
  /** A file is begun. */
  onBegin(file: CorpusFile): Promise<void>;
  /** All of it was heard. */
  onHeard(file: CorpusFile, heard: Heard): Promise<void>;
  /** It cannot be read, or is no audio: its own fault, as far as is known. */
  onRefused(file: CorpusFile, error: unknown): Promise<void>;
}

/** What a {@link Hearing} is made of. */
export interface HearingParts {
  /** Opens the recognizer, anew after a failure of the engine; as many files are heard side by side as it has streams. */
  openRecognizer: () => Promise<OnlineRecognizer>;
  /** Opens a file's audio. What it throws is the file's fault. */
  openAudio: (file: CorpusFile) => Promise<OpenAudio>;
}

/** Seconds that are handed over at once: the features of more would hold up the files beside it. */
const PIECE_SECONDS = 4;

/** After these an engine is of no use any more. */
const ENGINE_ERRORS: readonly RillErrorCode[] = ['device-lost', 'gpu', 'no-memory', 'worker', 'closed'];

/** An open recognizer, and places for as many files as it has streams. */
interface Opened {
  recognizer: OnlineRecognizer;
  sessions: SessionManager;
  lanes: Lanes;
}

/** Many files side by side through one recognizer: whatever is ready goes into one step. */
export class Hearing {
  readonly #parts: HearingParts;
  #opening: Promise<Opened> | undefined;

  constructor(parts: HearingParts) {
    this.#parts = parts;
  }

  /** Opens the recognizer, if it is not open. @throws as {@link HearingParts.openRecognizer} */
  async ready(): Promise<void> {
    await this.#open();
  }

  /**
   * Hears files, in their order, as many at a time as there are lanes; calls may overlap and share the lanes.
   *
   * @throws what the engine fails with, once no file of this call is under way any more; the signal's reason when it was
   * aborted: what was under way then is given up.
   */
  async hear(files: Iterable<CorpusFile>, reports: HearingReports, signal?: AbortSignal): Promise<void> {
    const opened = await this.#open();
    const stop = new AbortController();
    const either = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
    const underWay = new Set<Promise<void>>();
    for (const file of files) {
      await opened.lanes.take();
      if (either.aborted) {
        opened.lanes.give();
        break;
      }
      const one = hearFile(file, this.#parts.openAudio, opened.sessions, reports, either)
        .catch((error: unknown) => {
          stop.abort(error);
        })
        .finally(() => {
          opened.lanes.give();
          underWay.delete(one);
        });
      underWay.add(one);
    }
    await Promise.all(underWay);
    if (stop.signal.aborted && !signal?.aborted) {
      this.#closeAfter(stop.signal.reason);
    }
    either.throwIfAborted();
  }

  /** Closes the recognizer. */
  async dispose(): Promise<void> {
    const opening = this.#opening;
    this.#opening = undefined;
    const opened = await opening?.catch(() => undefined);
    opened?.sessions.dispose();
    opened?.recognizer.dispose();
  }

  /** The next call opens another recognizer where the engine itself has failed. */
  #closeAfter(error: unknown): void {
    if (error instanceof RillError && ENGINE_ERRORS.includes(error.code)) {
      void this.dispose();
    }
  }

  async #open(): Promise<Opened> {
    const opening = (this.#opening ??= this.#parts.openRecognizer().then((recognizer) => ({
      recognizer,
      sessions: new SessionManager(recognizer, { idleSeconds: Infinity }),
      lanes: new Lanes(recognizer.encoder.capacity.maxStreams),
    })));
    try {
      return await opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }
}

async function hearFile(
  file: CorpusFile,
  openAudio: HearingParts['openAudio'],
  sessions: SessionManager,
  reports: HearingReports,
  signal: AbortSignal,
): Promise<void> {
  await reports.onBegin(file);
  let recording: OpenAudio;
  try {
    recording = await openAudio(file);
  } catch (error) {
    await reports.onRefused(file, error);
    return;
  }
  const { session, segments, ended } = openSession(sessions);
  let seconds: number;
  try {
    seconds = await feed(session, recording, signal);
    await ended;
  } catch (error) {
    if (!session.isOpen) {
      // A session that ended under way says why.
      await ended;
      throw error;
    }
    signal.throwIfAborted();
    await reports.onRefused(file, error);
    return;
  } finally {
    session.discard();
    recording.close?.();
  }
  await reports.onHeard(file, { segments, seconds });
}

/** A session, what it has heard, and its end, which fails as the engine does. */
function openSession(sessions: SessionManager): {
  session: Session;
  segments: RecognitionResult[];
  ended: Promise<void>;
} {
  const segments: RecognitionResult[] = [];
  let end: NonNullable<SessionOptions['onClose']> = () => undefined;
  const ended = new Promise<void>((resolve, reject) => {
    end = (reason, error) => {
      if (reason === 'finished') {
        resolve();
      } else {
        reject(error ?? new Error(`a session that ended: ${reason}`));
      }
    };
  });
  // Nobody waits for it where the file cannot be read.
  ended.catch(() => undefined);
  const session = sessions.create({
    onResult: (result) => {
      if (result.isFinal) {
        segments.push(result);
      }
    },
    onClose: end,
  });
  return { session, segments, ended };
}

/** @returns seconds of audio */
async function feed(session: Session, { audio }: OpenAudio, signal: AbortSignal): Promise<number> {
  let seconds = 0;
  for await (const { samples, sampleRate } of audio) {
    const piece = Math.max(1, Math.ceil(PIECE_SECONDS * sampleRate));
    for (let at = 0; at < samples.length; at += piece) {
      signal.throwIfAborted();
      await session.ready();
      session.push({ samples: samples.subarray(at, at + piece), sampleRate });
    }
    seconds += samples.length / sampleRate;
  }
  session.finish();
  return seconds;
}
