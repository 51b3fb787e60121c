/** The model in the worker: loading it, losing it, and what to do when there is none. */
import { RecognizerClient, RillError, type ModelFiles, type RecognizerInfo } from 'rill-asr';
import { button } from './elements.ts';
import { engineWords, isOfEngine, kindName } from './engine.ts';
import type { Settings } from './settings.ts';
import type { Status } from './status.ts';
import { say } from './strings.ts';
import type { DemoVerbs } from './worker.ts';

/** A model to load: the address of its folder or its files, and what the page calls it. */
export interface ModelChoice {
  source: string | ModelFiles;
  name: string;
}

export interface ModelHandlers {
  /** The model goes, and whatever hears with it has to end. What is returned is waited for before another comes. */
  onLeave: () => Promise<void>;
  /** A model is there. @param isNew another than before, not the same one after a change */
  onModel: (info: RecognizerInfo, isNew: boolean) => void;
  /** Whether there is a model to hear with. */
  onUsable: (isUsable: boolean) => void;
}

export class DemoModel {
  readonly client: RecognizerClient<DemoVerbs>;
  readonly #status: Status;
  readonly #settings: Settings;
  readonly #handlers: ModelHandlers;
  readonly #first: ModelChoice;
  #info: RecognizerInfo | undefined;
  /** The model that was loaded last. */
  #loaded: ModelChoice | undefined;
  /** The model that was asked for last, for another try. */
  #wanted: ModelChoice;
  #loading: AbortController | undefined;
  /** Whether the worker has ended: only a new page has another one. */
  #isDead = false;

  /** @param first what is loaded where nothing else was asked for */
  constructor(first: ModelChoice, status: Status, settings: Settings, handlers: ModelHandlers) {
    this.#first = this.#wanted = first;
    this.#status = status;
    this.#settings = settings;
    this.#handlers = handlers;
    this.client = new RecognizerClient(new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }), {
      onDeviceLost: () => {
        status.warn(say('lost'));
      },
      onRecovered: (info) => {
        this.#info = info;
        handlers.onModel(info, false);
        status.warn('');
        status.tell(() => engineWords(info).recovered);
      },
      onRecoveryFailed: (error) => {
        this.#info = undefined;
        void handlers.onLeave();
        this.#setBusy(false);
        this.fail(error);
        this.#offerRetry();
        this.#offerAuto(error);
      },
    });
    button('cancel').addEventListener('click', () => this.#loading?.abort());
    button('retry').addEventListener('click', () => {
      if (this.#isDead) {
        location.reload();
      } else {
        void this.load();
      }
    });
    button('use-auto').addEventListener('click', () => {
      settings.askForAuto();
      void this.load();
    });
  }

  /** What is loaded; undefined while nothing was, or when it is lost for good. */
  get info(): RecognizerInfo | undefined {
    return this.#info;
  }

  get loaded(): ModelChoice | undefined {
    return this.#loaded;
  }

  /** Loads a model, by default what was asked for last; the page can be used when it is there. */
  async load(wanted = this.#wanted): Promise<void> {
    const left = this.#handlers.onLeave();
    this.#status.warn('');
    this.#loading?.abort();
    this.#wanted = wanted;
    const own = (this.#loading = new AbortController());
    this.#setBusy(true);
    this.#status.tell(() => say(typeof wanted.source === 'string' ? 'downloading' : 'loading'));
    try {
      await left;
      const info = await this.#loadInWorker(wanted, own.signal);
      if (own === this.#loading) {
        await this.#take(wanted, info);
      }
    } catch (error) {
      if (own === this.#loading) {
        this.#explain(error, own.signal);
      }
    } finally {
      if (own === this.#loading) {
        this.#setBusy(false);
      }
    }
  }

  /** Loads the model that is there again, as the settings are now. */
  reload(): void {
    void this.load(this.#loaded ?? this.#first);
  }

  /** Takes the size of a chunk from the settings. */
  followChunk(): void {
    if (this.#info) {
      this.client.setChunkFrames(this.#settings.chunkFrames).catch((error: unknown) => {
        this.fail(error);
      });
    }
  }

  /** Says what went wrong; where it was the worker that ended, there is no model any more. */
  fail(error: unknown): void {
    this.#status.warnOf(error);
    if (error instanceof RillError && error.code === 'worker') {
      this.#isDead = true;
      this.#info = undefined;
      this.#status.tell(() => '');
      this.#setBusy(false);
      this.#offerRetry();
    }
  }

  /** Says what the button does in the language that the page speaks now. */
  sayAgain(): void {
    button('retry').textContent = say(this.#isDead ? 'reload' : 'retry');
  }

  #loadInWorker({ source }: ModelChoice, signal: AbortSignal): Promise<RecognizerInfo> {
    return this.client.load(source, {
      signal,
      ...this.#settings.options,
      // Another model may have other heads: it decodes as it would without a wish.
      ...(source !== this.#loaded?.source && { decodingMethod: undefined }),
      maxStreams: 4,
      onProgress: (event) => {
        if (event.status === 'progress_total') {
          const [loaded, total] = [event.loaded, event.total].map((bytes) => (bytes / 1e6).toFixed(1));
          this.#status.showProgress(event.progress / 100, say('downloaded', { loaded, total }));
        } else if (event.status === 'prepare' && event.loaded === 1) {
          const engine = kindName(event.device);
          this.#status.tell(() => say('preparing', { engine }));
          this.#status.reveal('cancel', false);
          // On a GPU most of it is compiling, of which nobody knows how long it takes.
          this.#status.showProgress();
        }
      },
    });
  }

  async #take(choice: ModelChoice, info: RecognizerInfo): Promise<void> {
    const isNew = choice.source !== this.#loaded?.source;
    this.#loaded = choice;
    this.#info = info;
    this.#handlers.onModel(info, isNew);
    // The slider may have been moved meanwhile.
    await this.client.setChunkFrames(this.#settings.chunkFrames);
    this.#status.tell(() => say('ready'));
  }

  #explain(error: unknown, { aborted }: AbortSignal): void {
    if (aborted) {
      this.#status.tell(() => say('cancelled'));
      this.#offerRetry();
      return;
    }
    this.#status.tell(() => (this.#info ? say('ready') : ''));
    if (!this.#info) {
      this.#offerRetry();
    }
    this.#offerAuto(error);
    this.fail(error);
  }

  #setBusy(isBusy: boolean): void {
    this.#status.reveal('cancel', isBusy);
    if (isBusy) {
      this.#status.showProgress();
      this.#status.reveal('retry', false);
      this.#status.reveal('use-auto', false);
    } else {
      this.#status.hideProgress();
    }
    this.#handlers.onUsable(!isBusy && this.#info !== undefined);
  }

  #offerRetry(): void {
    this.sayAgain();
    this.#status.reveal('retry', true);
  }

  /** Where an engine that was asked for by name failed, there may be another. */
  #offerAuto(error: unknown): void {
    this.#status.reveal('use-auto', isOfEngine(error) && this.#settings.device !== 'auto');
  }
}
