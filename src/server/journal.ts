import { RillError, type RillErrorCode } from '../errors.ts';
import type { RecognitionResult } from '../recognizer/results.ts';
import type { ServerLog } from './log.ts';
import type { Metrics, Protocol } from './metrics.ts';
import { Refusal } from './refusal.ts';

/** How a client's time with the server went. */
export interface Outcome {
  /** The code that a WebSocket was closed with. */
  code?: number;
  /** What went wrong, if anything did. */
  error?: unknown;
}

/** One client, from its coming to its going. */
export interface JournalEntry {
  /** What was heard; its text is written down only where that was asked for. */
  heard(result: RecognitionResult): void;
  /** Seconds of audio more. */
  listened(seconds: number): void;
  /** From now on so many seconds of audio, asked when it has gone: those that are there already do not count. */
  listens(seconds: () => number): void;
  /** It has gone. */
  end(outcome: Outcome): void;
}

/** Who came, and how it ended: in the log and in the metrics, without a word of what was said unless asked. */
export class Journal {
  readonly #log: ServerLog;
  readonly #metrics: Pick<Metrics, 'started' | 'ended'>;
  readonly #logsText: boolean;
  readonly #counts: Record<Protocol, number> = { sherpa: 0, vosk: 0, http: 0 };
  #next = 1;

  /** @param logsText whether the log has what was said */
  constructor(log: ServerLog, metrics: Pick<Metrics, 'started' | 'ended'>, logsText: boolean) {
    this.#log = log;
    this.#metrics = metrics;
    this.#logsText = logsText;
  }

  /** Clients that are there. */
  get counts(): Readonly<Record<Protocol, number>> {
    return this.#counts;
  }

  /** A client has come. @param remote its address */
  begin(protocol: Protocol, remote: string | undefined): JournalEntry {
    const client = this.#next++;
    const since = performance.now();
    let audioSeconds = 0;
    let more: () => number = () => 0;
    this.#counts[protocol]++;
    this.#metrics.started(protocol);
    this.#log.info({ client, protocol, remote }, 'client came');
    return {
      heard: ({ text, segment, isFinal }) => {
        if (this.#logsText && isFinal) {
          this.#log.info({ client, segment, text }, 'heard');
        }
      },
      listened: (seconds) => {
        audioSeconds += seconds;
      },
      listens: (secondsNow) => {
        const before = secondsNow();
        more = () => secondsNow() - before;
      },
      end: ({ code, error }) => {
        audioSeconds += more();
        this.#counts[protocol]--;
        const end = endOf(code, error);
        this.#metrics.ended(protocol, end);
        const seconds = Math.round(performance.now() - since) / 1000;
        const fields = { client, protocol, end, code, seconds, audioSeconds: Math.round(1000 * audioSeconds) / 1000 };
        if (error === undefined) {
          this.#log.info(fields, 'client went');
        } else {
          this.#log.warn(
            { ...fields, error: error instanceof Error ? error.message : JSON.stringify(error) },
            'client went',
          );
        }
      },
    };
  }
}

/** The code of a WebSocket whose connection was lost. */
const LOST = 1006;
/** What a client sent that cannot be taken. */
const OF_CLIENTS: readonly RillErrorCode[] = ['bad-argument', 'bad-audio'];

function endOf(code: number | undefined, error: unknown): string {
  if (error === undefined) {
    return code === LOST ? 'lost' : 'finished';
  }
  if (error instanceof Refusal) {
    return error.reason;
  }
  return error instanceof RillError && OF_CLIENTS.includes(error.code) ? 'bad-request' : 'failed';
}
