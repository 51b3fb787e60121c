import type { TokenTable } from '../model/tokens.ts';
import type { Access } from './access.ts';
import type { Admission, Place } from './admission.ts';
import { CallPlaces } from './call-places.ts';
import type { Calls } from './calls.ts';
import type { Connection, ConnectionHost } from './connection.ts';
import type { HeardCall, HeardCallOptions } from './dialogue.ts';
import { goodbye } from './durable-dialogue.ts';
import type { CallOptions, DurableCall } from './durable/call.ts';
import type { Journal, JournalEntry } from './journal.ts';
import type { ServerLimits } from './limits.ts';
import type { Metrics, Protocol } from './metrics.ts';
import type { RefusalReason } from './refusal.ts';
import type { RouteHost } from './routes.ts';

/** What a server is made of. */
export interface ServerParts {
  access: Access;
  admission: Admission;
  calls: Calls;
  journal: Journal;
  limits: Readonly<ServerLimits>;
  metrics: Metrics;
  /** Whether other servers can go on with its calls. */
  sharesCalls: boolean;
  /** Samples per second that the model hears. */
  modelRate: number;
  tokens: TokenTable;
}

/** What all protocols share: who may come, what is counted, and who is there. */
export class ServerCore implements RouteHost {
  readonly parts: ServerParts;
  /** WebSockets that are open. */
  readonly connections = new Set<Connection>();
  readonly #places: CallPlaces;
  /** Who has a call that has a name. */
  readonly #holders = new Map<string, Connection>();

  constructor(parts: ServerParts) {
    this.parts = parts;
    this.#places = new CallPlaces(parts.admission);
  }

  get access(): Access {
    return this.parts.access;
  }

  get admission(): Admission {
    return this.parts.admission;
  }

  get metrics(): Metrics {
    return this.parts.metrics;
  }

  get maxBodyBytes(): number {
    return this.parts.limits.maxBodyBytes;
  }

  /** Whether a call would be taken now. */
  get isReady(): boolean {
    return this.parts.calls.current !== undefined && !this.admission.isDraining;
  }

  /** A place for a client. @param call its name, if it has one @throws as `Admission.enter` */
  enter(call: string | undefined): Place {
    return call === undefined ? this.admission.enter() : this.#places.enter(call);
  }

  requireReady(): void {
    this.admission.requireOpen();
    this.parts.calls.requireDevice();
  }

  refused(reason: RefusalReason): void {
    this.metrics.refused(reason);
  }

  begin(protocol: Protocol, remote: string | undefined): JournalEntry {
    return this.parts.journal.begin(protocol, remote);
  }

  open(options: HeardCallOptions, entry: JournalEntry): HeardCall {
    const call = this.parts.calls.open({
      ...options,
      onResult: (result) => {
        entry.heard(result);
        options.onResult(result);
      },
      onEnd: (end, error) => {
        entry.listened(call.seconds);
        options.onEnd(end, error);
      },
    });
    return call;
  }

  async resume(options: CallOptions, entry: JournalEntry, connection: Connection): Promise<DurableCall> {
    const call = await this.parts.calls.resume({
      ...options,
      onResult: (result, number) => {
        entry.heard(result);
        return options.onResult?.(result, number);
      },
    });
    this.#holders.get(options.id)?.close(...goodbye('moved'));
    // Its client may have gone meanwhile.
    if (this.connections.has(connection)) {
      this.#holders.set(options.id, connection);
    }
    entry.listens(() => call.samples / options.sampleRate);
    if (call.samples > 0) {
      this.metrics.resumed();
    }
    return call;
  }

  /** What a connection of one client needs. @param leave gives its place back @param call its name, if it has one */
  hostOf(entry: JournalEntry, leave: () => void, call: string | undefined): ConnectionHost {
    return {
      limits: this.parts.limits,
      open: (options) => this.open(options, entry),
      resume: (options, connection) => this.resume(options, entry, connection),
      refused: (reason) => {
        this.refused(reason);
      },
      gone: (connection, outcome, left) => {
        this.connections.delete(connection);
        if (call !== undefined && this.#holders.get(call) === connection) {
          this.#holders.delete(call);
        }
        entry.end(outcome);
        // A call that is still being saved takes a session.
        void Promise.resolve(left).then(leave);
      },
    };
  }
}
