import type { Model } from '../model/model.ts';
import type { RecognizerOptions } from '../recognizer/recognizer.ts';
import type { OpenEngine } from './calls.ts';
import type { CallStore } from './durable/store.ts';
import type { ServerLimits } from './limits.ts';
import type { ServerLog } from './log.ts';

/** What a server is told. */
export interface ServerOptions {
  /** A model, or the path of its folder. */
  model: Model | string;
  /**
   * Opens what it runs on, at the start and again when a device was lost; `openNodeEngine()` by default. It is told how many
   * were lost within the last minute.
   */
  openEngine?: OpenEngine;
  /** How the model is loaded and searched. */
  recognizer?: RecognizerOptions;
  /** The address that it listens at; all of the machine by default. */
  host?: string;
  /** For sherpa-onnx's protocol and HTTP; 6006 by default, 0 for a free one. */
  port?: number;
  /** For vosk's protocol; none by default, 0 for a free one. */
  voskPort?: number;
  /** Tokens, any of which opens the server; without one it is open to all who reach it. */
  tokens?: readonly string[];
  /**
   * Where calls that have a name are kept while their clients are away: in this process by default, which a call survives
   * only here. {@link RedisCallStore} is for several servers. It stays the caller's.
   */
  callStore?: CallStore;
  /** Seconds from one save of such a call to the next; 2 by default. */
  saveSeconds?: number;
  /** Seconds that such a call waits for its client, where it is kept in this process; 600 by default. */
  keepSeconds?: number;
  /** What clients get at most. */
  limits?: Partial<ServerLimits>;
  /** Where it writes what happens; lines of JSON on stdout by default, by the package `pino`. */
  log?: ServerLog;
  /** Whether the log has what was said; not by default. */
  logText?: boolean;
}
