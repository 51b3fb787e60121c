import { RillError } from '../errors.ts';
import type { Engine } from '../encoder/engine.ts';
import { Call, type CallHost } from './call.ts';
import type { CallOptions, HeardCall } from './dialogue.ts';
import { Hearing, type HearingOptions } from './hearing.ts';
import { Refusal } from './refusal.ts';

/** Opens what calls are heard on. @param losses devices that were lost lately; 0 at the start */
export type OpenEngine = (losses: number) => Promise<Engine>;

/** Who is told of lost devices. */
export interface CallWatcher {
  onLost(reason: string): void;
  /** Another device is there, and calls go on. */
  onRecovered(device: string): void;
  /** No other device is to be had: all calls have ended. */
  onGivenUp(error: unknown): void;
}

/** Losses are counted for so long. */
const LOSSES_WITHIN_MS = 60_000;

/** All calls of a server: on one model and one device, and on another when that is lost. */
export class Calls implements CallHost {
  readonly maxCallSeconds: number;
  readonly #openEngine: OpenEngine;
  readonly #options: HearingOptions;
  readonly #watcher: CallWatcher;
  readonly #calls = new Set<Call>();
  #hearing: Promise<Hearing>;
  /** The same, while there is one. */
  #current: Hearing | undefined;
  /** When devices were lost, the last few. */
  #losses: number[] = [];
  #isClosed = false;

  private constructor(hearing: Hearing, openEngine: OpenEngine, options: HearingOptions, more: CallsOptions) {
    this.#openEngine = openEngine;
    this.#options = options;
    this.#watcher = more.watcher;
    this.maxCallSeconds = more.maxCallSeconds;
    this.#hearing = Promise.resolve(hearing);
    this.#adopt(hearing);
  }

  /** @throws RillError where the device or the model cannot be had. */
  static async start(openEngine: OpenEngine, options: HearingOptions, more: CallsOptions): Promise<Calls> {
    return new Calls(await Hearing.start(await openEngine(0), options), openEngine, options, more);
  }

  /** What calls are heard on now; nothing while another device is being opened. */
  get current(): Hearing | undefined {
    return this.#current;
  }

  /** Seconds of audio that wait to be decoded, in each call. */
  get backlogs(): number[] {
    return [...this.#calls].map(({ backlogSeconds }) => backlogSeconds);
  }

  hearing(): Promise<Hearing> {
    return this.#hearing;
  }

  /** @throws Refusal `recovering` while there is no device. */
  open(options: CallOptions): HeardCall {
    this.requireDevice();
    const call = new Call(this, options);
    this.#calls.add(call);
    return call;
  }

  /** @throws Refusal `recovering` while there is no device. */
  requireDevice(): void {
    if (!this.#current) {
      throw new Refusal('recovering', {
        got: 'a call while the server opens another device in place of one that was lost',
        expected: 'a server with a device',
        remedy: 'Try again in a few seconds.',
      });
    }
  }

  forget(call: Call): void {
    this.#calls.delete(call);
  }

  /** Ends all calls, and gives the device back. */
  dispose(): void {
    this.#isClosed = true;
    [...this.#calls].forEach((call) => {
      call.discard();
    });
    this.#current?.dispose();
    this.#current = undefined;
  }

  #adopt(hearing: Hearing): void {
    this.#current = hearing;
    void hearing.engine.lost.then((reason) => {
      if (this.#current === hearing) {
        this.#current = undefined;
        this.#watcher.onLost(reason);
        this.#hearing = this.#recover(hearing);
        // Each call is told of a failure by its own wait.
        this.#hearing.catch(() => undefined);
      }
    });
  }

  async #recover(lost: Hearing): Promise<Hearing> {
    const now = performance.now();
    this.#losses = [...this.#losses.filter((at) => now - at < LOSSES_WITHIN_MS), now];
    lost.dispose();
    try {
      const hearing = await Hearing.start(await this.#openEngine(this.#losses.length), this.#options);
      if (this.#isClosed) {
        hearing.dispose();
        throw closed();
      }
      this.#adopt(hearing);
      this.#watcher.onRecovered(hearing.recognizer.device.name);
      return hearing;
    } catch (error) {
      if (!this.#isClosed) {
        this.#watcher.onGivenUp(error);
      }
      throw error;
    }
  }
}

/** What calls need besides a model. */
export interface CallsOptions {
  watcher: CallWatcher;
  /** Seconds of audio in one call at most. */
  maxCallSeconds: number;
}

const closed = () =>
  new RillError('closed', {
    got: 'a device for a server that was closed meanwhile',
    expected: 'an open server',
    remedy: 'Start another server.',
  });
