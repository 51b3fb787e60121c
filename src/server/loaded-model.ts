import { isBeamMethod } from '../decoder/methods.ts';
import type { Engine } from '../encoder/engine.ts';
import type { Model } from '../model/model.ts';
import { OnlineRecognizer, type RecognizerOptions } from '../recognizer/recognizer.ts';
import {
  SessionManager,
  type Session,
  type SessionManagerOptions,
  type SessionOptions,
} from '../recognizer/sessions.ts';
import { DurableCalls, type DurableCallsOptions } from './durable/calls.ts';
import type { CallStore } from './durable/store.ts';

/** What a model is loaded with. */
export interface LoadedModelOptions {
  model: Model;
  recognizer: RecognizerOptions;
  sessions: SessionManagerOptions & { maxSessions: number };
  /** Calls that survive their connection. */
  durable: DurableCallsOptions & { store: CallStore };
}

/** A model on a device, and the sessions on it. */
export class LoadedModel {
  readonly engine: Engine;
  readonly recognizer: OnlineRecognizer;
  /** Calls on it that survive their connection. */
  readonly durable: DurableCalls;
  readonly #options: LoadedModelOptions;
  readonly #plain: SessionManager;
  /** Sessions with phrases to favour, where the search of the others is greedy and cannot. */
  #favouring: Promise<SessionManager> | undefined;

  private constructor(engine: Engine, recognizer: OnlineRecognizer, options: LoadedModelOptions) {
    this.engine = engine;
    this.recognizer = recognizer;
    this.#options = options;
    this.#plain = new SessionManager(recognizer, options.sessions);
    this.durable = new DurableCalls(this.#plain, options.durable.store, options.durable);
  }

  /** @throws RillError as {@link OnlineRecognizer.create}; the engine is disposed of then. */
  static async start(engine: Engine, options: LoadedModelOptions): Promise<LoadedModel> {
    try {
      const { maxSessions } = options.sessions;
      const recognizer = await OnlineRecognizer.create(engine, options.model, {
        maxStreams: maxSessions,
        ...options.recognizer,
      });
      return new LoadedModel(engine, recognizer, options);
    } catch (error) {
      engine.dispose();
      throw error;
    }
  }

  /** Whether its device can be lost: a GPU. */
  get mayBeLost(): boolean {
    return this.recognizer.device.kind === 'webgpu';
  }

  /** @throws RillError as {@link SessionManager.create} */
  async createSession(options: SessionOptions): Promise<Session> {
    const isPlain = options.hotwords === undefined || isBeamMethod(this.recognizer.decodingMethod);
    const manager = isPlain ? this.#plain : await this.#favouringManager();
    return manager.create(options);
  }

  #favouringManager(): Promise<SessionManager> {
    const { model, sessions, recognizer } = this.#options;
    this.#favouring ??= this.recognizer
      .withSearch({
        ...recognizer,
        decodingMethod: model.sizes.transducer ? 'modified_beam_search' : 'ctc_beam',
        greedySearchOn: undefined,
      })
      .then((beside) => new SessionManager(beside, sessions));
    return this.#favouring;
  }

  /** Ends all sessions, and gives the device back. */
  dispose(): void {
    this.recognizer.dispose();
    this.engine.dispose();
  }
}
