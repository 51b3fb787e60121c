import { RillError } from '../errors.ts';
import type { Engine } from '../encoder/engine.ts';
import { Call, type CallHost } from './call.ts';
import type { HeardCall, HeardCallOptions } from './dialogue.ts';
import type { CallOptions, DurableCall } from './durable/call.ts';
import { LoadedModel, type LoadedModelOptions } from './loaded-model.ts';
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
  readonly #options: LoadedModelOptions;
  readonly #watcher: CallWatcher;
  readonly #calls = new Set<Call>();
  #loaded: Promise<LoadedModel>;
  /** The same, while there is one. */
  #current: LoadedModel | undefined;
  /** When devices were lost, the last few. */
  #losses: number[] = [];
  #isClosed = false;

  private constructor(loaded: LoadedModel, openEngine: OpenEngine, options: LoadedModelOptions, more: CallsOptions) {
    this.#openEngine = openEngine;
    this.#options = options;
    this.#watcher = more.watcher;
    this.maxCallSeconds = more.maxCallSeconds;
    this.#loaded = Promise.resolve(loaded);
    this.#adopt(loaded);
  }

  /** @throws RillError where the device or the model cannot be had. */
  static async start(openEngine: OpenEngine, options: LoadedModelOptions, more: CallsOptions): Promise<Calls> {
    return new Calls(await LoadedModel.start(await openEngine(0), options), openEngine, options, more);
  }

  /** What calls are heard on now; nothing while another device is being opened. */
  get current(): LoadedModel | undefined {
    return this.#current;
  }

  /** Seconds of audio that wait to be decoded, in each call. */
  get backlogs(): number[] {
    const plain = [...this.#calls].map(({ backlogSeconds }) => backlogSeconds);
    return [...plain, ...(this.#current?.durable.backlogs ?? [])];
  }

  loaded(): Promise<LoadedModel> {
    return this.#loaded;
  }

  /** @throws Refusal `recovering` while there is no device. */
  open(options: HeardCallOptions): HeardCall {
    this.requireDevice();
    const call = new Call(this, options);
    this.#calls.add(call);
    return call;
  }

  /** A call that survives its connection. @throws RillError as {@link DurableCalls.open}; Refusal `recovering`. */
  async resume(options: CallOptions): Promise<DurableCall> {
    return this.requireDevice().durable.open(options);
  }

  /** @throws Refusal `recovering` while there is no device. */
  requireDevice(): LoadedModel {
    if (!this.#current) {
      throw new Refusal('recovering', {
        got: 'a call while the server opens another device in place of one that was lost',
        expected: 'a server with a device',
        remedy: 'Try again in a few seconds.',
      });
    }
    return this.#current;
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

  #adopt(loaded: LoadedModel): void {
    this.#current = loaded;
    void loaded.engine.lost.then((reason) => {
      if (this.#current === loaded) {
        this.#current = undefined;
        this.#watcher.onLost(reason);
        this.#loaded = this.#recover(loaded);
        // Each call is told of a failure by its own wait.
        this.#loaded.catch(() => undefined);
      }
    });
  }

  async #recover(lost: LoadedModel): Promise<LoadedModel> {
    const now = performance.now();
    this.#losses = [...this.#losses.filter((at) => now - at < LOSSES_WITHIN_MS), now];
    lost.dispose();
    try {
      const loaded = await LoadedModel.start(await this.#openEngine(this.#losses.length), this.#options);
      if (this.#isClosed) {
        loaded.dispose();
        throw closed();
      }
      this.#adopt(loaded);
      this.#watcher.onRecovered(loaded.recognizer.device.name);
      return loaded;
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
