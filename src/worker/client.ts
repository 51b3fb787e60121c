import type { DeviceName } from '../engine.ts';
import { RillError } from '../errors.ts';
import type { LoadEvent } from '../model/fetch.ts';
import type { ModelFiles } from '../model/model.ts';
import { checkWaveform, type Waveform } from '../waveform/waveform.ts';
import { receiveError } from './errors.ts';
import type {
  FromHost,
  HostEvent,
  HostMethod,
  HostMethods,
  RecognizerInfo,
  StreamUpdate,
  ToHost,
  WorkerConvertOptions,
  WorkerModel,
  WorkerRecognizerOptions,
  WorkerSpotterOptions,
  WorkerStreamOptions,
  WorkerVerbs,
} from './messages.ts';

/** How a page follows what is loaded, and gives it up. */
export interface WorkerLoadHandlers {
  /** Called as files come and are made ready. */
  onProgress?: (event: LoadEvent) => void;
  /** Cancels the load; what it is aborted with is thrown. */
  signal?: AbortSignal;
}

/** What {@link RecognizerClient.load} is told. */
export interface WorkerLoadOptions extends WorkerRecognizerOptions, WorkerLoadHandlers {}
/** What {@link RecognizerClient.loadSpotter} is told. */
export interface WorkerSpotterLoadOptions extends WorkerSpotterOptions, WorkerLoadHandlers {}

/** What a stream in a worker is told, and whom it tells. */
export interface WorkerStreamHandlers extends WorkerStreamOptions {
  /** Called after each chunk. */
  onUpdate: (update: StreamUpdate) => void;
  /** Called with log-mel features, (frames, num_features), when {@link WorkerStreamOptions.features} is set. */
  onFeatures?: (features: Float32Array) => void;
  /** Called when the stream has failed, which ends it; without it the error is the page's own (`window.onerror`). */
  onError?: (error: Error) => void;
}

function tellError({ onError }: WorkerStreamHandlers, error: Error): void {
  if (onError) {
    onError(error);
  } else {
    globalThis.reportError?.(error);
  }
}

/** Tells whoever waits for the end of a stream. */
function rejectWaiting({ onEnd }: OpenStream, error: Error): void {
  onEnd.forEach(({ reject }) => {
    reject(error);
  });
}

/** Tells a stream's own handler, and whoever waits for its end. */
function failStream(stream: OpenStream, error: Error): void {
  rejectWaiting(stream, error);
  tellError(stream.handlers, error);
}

const asError = (error: unknown) => (error instanceof Error ? error : new Error(String(error)));

/** The address of a model folder, for a worker that lies elsewhere than the page. */
const addressOf = (source: string | ModelFiles) =>
  typeof source === 'string' ? new URL(source, globalThis.location.href).href : source;

/** Whom a worker tells of what happens to all of its streams. */
export interface WorkerHandlers {
  /** The GPU went away; the worker opens another by itself, text and undecoded audio are kept. */
  onDeviceLost?: (error: Error) => void;
  /** Another device was opened, and streams go on. */
  onRecovered?: (info: RecognizerInfo) => void;
  /** No other device could be opened: all streams have ended, and a model has to be loaded again. */
  onRecoveryFailed?: (error: Error) => void;
  /** How long the worker's file may take until it calls serveRecognizer(), in seconds; 30 by default. */
  startSeconds?: number;
}

/** A stream in the worker. */
export class WorkerStream {
  /** Tells it from the other streams of its worker. */
  readonly id: number;
  readonly #client: Pick<RecognizerClient, 'call' | 'discardStream' | 'finishStream' | 'tell'>;

  /** @internal */
  constructor(id: number, client: Pick<RecognizerClient, 'call' | 'discardStream' | 'finishStream' | 'tell'>) {
    this.id = id;
    this.#client = client;
  }

  /**
   * Takes the next samples; they are copied. What comes after the stream's end is dropped.
   *
   * @throws RillError `bad-audio` for what is no audio.
   */
  push(audio: Waveform): void {
    checkWaveform(audio);
    const { samples, sampleRate, capturedAt } = audio;
    const copy = samples.slice();
    this.#client.tell('push', [this.id, { samples: copy, sampleRate, capturedAt }], [copy.buffer]);
  }

  /**
   * Ends the input: what is left is decoded, the last update brings the last words and says that it is the last, and the
   * stream is given back with it.
   *
   * @returns resolves behind the last update; rejects with what `onError` is told, if the stream fails before. Nobody has
   * to wait for it.
   */
  finish(): Promise<void> {
    return this.#client.finishStream(this.id);
  }

  /** Looks for other keywords from now on. @throws RillError `bad-model` for lines that the model cannot spell. */
  setKeywords(keywords: string): Promise<void> {
    return this.#client.call('setKeywords', [this.id, keywords]);
  }

  /**
   * Favours other phrases, as {@link OnlineRecognizer.setHotwords}: from the next segment on.
   *
   * @throws RillError `bad-argument` for a search that has no hotwords, `bad-model` for lines that the model cannot spell.
   */
  setHotwords(hotwords: string): Promise<void> {
    return this.#client.call('setHotwords', [this.id, hotwords]);
  }

  /** Changes what is posted besides results. */
  setOptions(options: Pick<WorkerStreamHandlers, 'features' | 'stateLayer'>): void {
    this.#client.tell('setOptions', [this.id, options]);
  }

  /**
   * Gives the stream back at once and **loses its last words**: nothing of it comes any more. {@link finish} ends a stream
   * with all that was said.
   */
  discard(): void {
    this.#client.discardStream(this.id);
  }

  /** As {@link discard}. */
  [Symbol.dispose](): void {
    this.discard();
  }
}

/** A stream as its page sees it. */
interface OpenStream {
  handlers: WorkerStreamHandlers;
  /** Who waits for its last update. */
  onEnd: { resolve: () => void; reject: (error: Error) => void }[];
}

const START_SECONDS = 30;

/**
 * A recognizer in a worker, so that the page never waits for it: features, GPU and search run there. The worker is a
 * file of the page's own of two lines,
 *
 * ```ts
 * import { serveRecognizer } from 'rill-asr';
 * serveRecognizer();
 * ```
 *
 * and the page opens it as every bundler understands:
 *
 * ```ts
 * const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
 * const client = new RecognizerClient(worker);
 * await client.load('models/wake-words/');
 * const stream = await client.createStream({ onUpdate: ({ result }) => show(result.text) });
 * const microphone = await Microphone.open({ onAudio: (chunk) => stream.push(chunk) });
 * ```
 *
 * @typeParam Verbs the verbs of the worker's own file, see {@link ask}; none by default
 */
export class RecognizerClient<Verbs extends WorkerVerbs = Record<never, never>> {
  readonly #worker: Worker;
  readonly #handlers: WorkerHandlers;
  readonly #calls = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void; onProgress?: (event: LoadEvent) => void }
  >();
  readonly #streams = new Map<number, OpenStream>();
  #next = 1;
  /** Why the worker can no longer be called. */
  #ended: Error | undefined;
  /** Messages that wait until the worker reads them; undefined from then on. */
  #outbox: { message: ToHost; transfer: Transferable[] }[] | undefined = [];
  readonly #starting: ReturnType<typeof setTimeout>;

  constructor(worker: Worker, handlers: WorkerHandlers = {}) {
    this.#worker = worker;
    this.#handlers = handlers;
    worker.onmessage = ({ data }: MessageEvent<FromHost>) => {
      this.#receive(data);
    };
    worker.onmessageerror = () => {
      this.#end(
        new RillError('worker', {
          got: 'a message of the worker that cannot be read',
          expected: 'one of the same version of rill',
          remedy: 'Build page and worker together, and reload the page.',
        }),
      );
    };
    // A script that cannot be loaded is told of without a message.
    worker.onerror = ({ message }: Partial<ErrorEvent>) => {
      this.#end(
        new RillError('worker', {
          got: message ? `an error in the worker: ${message}` : 'a worker whose script could not be loaded',
          expected: 'a worker whose file calls serveRecognizer()',
          remedy: message
            ? 'Create a new worker and client; in a page, reload it.'
            : 'Check the address of its file, that it is a module, and worker-src of the content-security policy.',
        }),
      );
    };
    const { startSeconds = START_SECONDS } = handlers;
    this.#starting = setTimeout(() => {
      this.#end(
        new RillError('worker', {
          got: `a worker that has not called serveRecognizer() for ${startSeconds} s`,
          expected: 'a worker whose file calls it',
          remedy:
            'Call serveRecognizer() of rill at the top of the worker’s file; where that comes slowly, raise startSeconds.',
        }),
      );
    }, 1000 * startSeconds);
    // A worker that was started long ago has said that it is ready before anybody listened.
    worker.postMessage({ hello: true } satisfies ToHost);
  }

  /** Whether a model can run in the worker; with `webgpu` whether it can on a GPU. */
  isSupported(device?: DeviceName): Promise<boolean> {
    return this.call('isSupported', [device]);
  }

  /**
   * Loads a model, in place of the one before; streams of that one end, and their `onError` says so.
   *
   * @param source the address of a model folder, relative to the page, or its files
   * @throws RillError as {@link OnlineRecognizer.load}; what the signal is aborted with.
   */
  load(
    source: string | ModelFiles,
    { onProgress, signal, ...options }: WorkerLoadOptions = {},
  ): Promise<RecognizerInfo> {
    return this.#load(signal, (call) => this.call('load', [addressOf(source), options], [], onProgress, call));
  }

  /**
   * Loads a model as a {@link KeywordSpotter}, in place of the one before. Updates of its streams bring keywords and no
   * text; each chunk that brings keywords ends a segment.
   *
   * @param source the address of a model folder, relative to the page, or its files
   * @throws RillError as {@link KeywordSpotter.load}; what the signal is aborted with.
   */
  loadSpotter(
    source: string | ModelFiles,
    { onProgress, signal, ...options }: WorkerSpotterLoadOptions = {},
  ): Promise<RecognizerInfo> {
    return this.#load(signal, (call) => this.call('loadSpotter', [addressOf(source), options], [], onProgress, call));
  }

  async #load(
    signal: AbortSignal | undefined,
    start: (call: number) => Promise<RecognizerInfo>,
  ): Promise<RecognizerInfo> {
    signal?.throwIfAborted();
    const call = this.#next++;
    const cancel = () => {
      this.#post({ cancel: call });
    };
    signal?.addEventListener('abort', cancel);
    try {
      return await start(call);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  }

  /**
   * Converts a checkpoint's files, as {@link convertCheckpoint}, in the worker.
   *
   * @param files with their names (`File`) where one names another, as an ONNX model its weights
   */
  convert(
    files: Blob[],
    options: WorkerConvertOptions = {},
    onProgress?: (event: LoadEvent) => void,
  ): Promise<ModelFiles> {
    return this.call('convert', [files, options], [], onProgress);
  }

  /**
   * Opens a stream.
   * @throws RillError `busy` when all slots are taken, `closed` before a model is loaded, `bad-model` and `bad-
   * argument` for keywords and hotwords that do not fit.
   */
  async createStream(handlers: WorkerStreamHandlers): Promise<WorkerStream> {
    const id = this.#next++;
    const { hotwords, keywords, features, stateLayer } = handlers;
    this.#streams.set(id, { handlers, onEnd: [] });
    try {
      await this.call('open', [id, { hotwords, keywords, features, stateLayer }]);
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    }
    return new WorkerStream(id, this);
  }

  /**
   * Changes the length of chunks of all streams, in encoder frames.
   * @throws RillError `bad-argument` for more than the model was loaded for, `closed` before a model is loaded.
   */
  setChunkFrames(frames: number): Promise<void> {
    return this.call('setChunkFrames', [frames]);
  }

  /**
   * Asks the worker for one of its own verbs, those that its file has handed to {@link serveRecognizer}.
   *
   * @throws RillError `bad-argument` for a verb that it does not have, `closed` before a model is loaded.
   */
  ask<Verb extends keyof Verbs & string>(
    verb: Verb,
    ...args: Verbs[Verb] extends (loaded: WorkerModel, ...args: infer Args) => unknown ? Args : never
  ): Promise<Awaited<ReturnType<Verbs[Verb]>>> {
    // Page and worker are built together, of one type of verbs.
    return this.call('ask', [verb, args]) as Promise<Awaited<ReturnType<Verbs[Verb]>>>;
  }

  /** Ends the worker, and all streams without a word; whoever waits for an answer gets the error `closed`. */
  dispose(): void {
    this.#worker.terminate();
    const error = new RillError('closed', {
      got: 'a worker that was disposed of',
      expected: 'an open one',
      remedy: 'Create a new worker and client.',
    });
    // The page knows what it does: an error that nobody handles would be one of its own making.
    this.#end(error, rejectWaiting);
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  discardStream(id: number): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    this.tell('close', [id]);
    if (stream) {
      const complaint = { got: 'a stream that was discarded', expected: 'one that is finished' };
      rejectWaiting(stream, new RillError('closed', { ...complaint, remedy: 'Wait for finish() before discard().' }));
    }
  }

  /** @internal */
  finishStream(id: number): Promise<void> {
    const stream = this.#streams.get(id);
    const ended = new Promise<void>((resolve, reject) => {
      if (stream) {
        stream.onEnd.push({ resolve, reject });
      } else {
        resolve();
      }
    });
    // Who does not wait for the end is told of a failure by the stream's own handler.
    ended.catch(() => undefined);
    this.call('finish', [id]).catch((error: unknown) => {
      this.#endStream(id, asError(error));
    });
    return ended;
  }

  /** @internal A call whose failure shows in the stream. */
  tell<Method extends HostMethod>(
    method: Method,
    args: Parameters<HostMethods[Method]>,
    transfer: Transferable[] = [],
  ): void {
    this.call(method, args, transfer).catch((error: unknown) => {
      const [id] = args;
      const stream = typeof id === 'number' ? this.#streams.get(id) : undefined;
      if (stream) {
        tellError(stream.handlers, asError(error));
      }
    });
  }

  /** @internal */
  call<Method extends HostMethod>(
    method: Method,
    args: Parameters<HostMethods[Method]>,
    transfer: Transferable[] = [],
    onProgress?: (event: LoadEvent) => void,
    call = this.#next++,
  ): Promise<ReturnType<HostMethods[Method]>> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      // The union of all calls pairs each method with its arguments; TypeScript cannot follow it through a variable.
      this.#post({ call, method, args } as ToHost, transfer);
      this.#calls.set(call, { resolve, reject, onProgress });
    });
  }

  /** Nothing comes any more: whoever waits is told. */
  #end(error: Error, tellStream: (stream: OpenStream, error: Error) => void = failStream): void {
    clearTimeout(this.#starting);
    this.#ended = error;
    this.#outbox = undefined;
    const waiting = [...this.#calls.values()];
    const streams = [...this.#streams.values()];
    this.#calls.clear();
    this.#streams.clear();
    waiting.forEach(({ reject }) => {
      reject(error);
    });
    streams.forEach((stream) => {
      tellStream(stream, error);
    });
  }

  /** Posts a message, as soon as the worker reads them. */
  #post(message: ToHost, transfer: Transferable[] = []): void {
    if (this.#outbox) {
      this.#outbox.push({ message, transfer });
    } else {
      this.#worker.postMessage(message, transfer);
    }
  }

  #start(): void {
    clearTimeout(this.#starting);
    const waiting = this.#outbox ?? [];
    this.#outbox = undefined;
    waiting.forEach(({ message, transfer }) => {
      this.#post(message, transfer);
    });
  }

  #receive(message: FromHost): void {
    if ('event' in message) {
      this.#tellEvent(message.event);
      return;
    }
    const pending = this.#calls.get(message.call);
    this.#calls.delete(message.call);
    if ('error' in message) {
      pending?.reject(receiveError(message.error));
    } else {
      pending?.resolve(message.value as never);
    }
  }

  #update(stream: number, update: StreamUpdate): void {
    const open = this.#streams.get(stream);
    if (update.ended) {
      this.#streams.delete(stream);
    }
    open?.handlers.onUpdate(update);
    if (update.ended) {
      open?.onEnd.forEach(({ resolve }) => {
        resolve();
      });
    }
  }

  #endStream(stream: number, error: Error): void {
    const open = this.#streams.get(stream);
    this.#streams.delete(stream);
    if (open) {
      failStream(open, error);
    }
  }

  #tellEvent(event: HostEvent): void {
    switch (event.type) {
      case 'ready':
        this.#start();
        break;
      case 'progress':
        this.#calls.get(event.call)?.onProgress?.(event.event);
        break;
      case 'update':
        this.#update(event.stream, event.update);
        break;
      case 'features':
        this.#streams.get(event.stream)?.handlers.onFeatures?.(event.features);
        break;
      case 'error':
        this.#endStream(event.stream, receiveError(event.error));
        break;
      case 'device-lost':
        this.#handlers.onDeviceLost?.(receiveError(event.error));
        break;
      case 'recovered':
        this.#handlers.onRecovered?.(event.info);
        break;
      case 'recovery-failed':
        this.#handlers.onRecoveryFailed?.(receiveError(event.error));
        break;
    }
  }
}
