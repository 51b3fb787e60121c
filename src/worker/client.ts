import { RillError } from '../errors.ts';
import type { LoadEvent } from '../model/fetch.ts';
import type { ModelFiles } from '../model/model.ts';
import type { WaveformChunk } from '../recognizer/stream.ts';
import { receiveError } from './errors.ts';
import type {
  CrowdReport,
  FromHost,
  HostEvent,
  HostMethod,
  HostMethods,
  RecognizerInfo,
  StreamUpdate,
  ToHost,
  WorkerAudio,
  WorkerConvertOptions,
  WorkerRecognizerOptions,
  WorkerStreamOptions,
} from './messages.ts';

export interface WorkerLoadOptions extends WorkerRecognizerOptions {
  onProgress?: (event: LoadEvent) => void;
  signal?: AbortSignal;
}

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

export interface WorkerHandlers {
  /** The GPU went away; the worker opens another by itself, text and undecoded audio are kept. */
  onDeviceLost?: (error: Error) => void;
  onRecovered?: (info: RecognizerInfo) => void;
  /** No other device could be opened: all streams have ended, and a model has to be loaded again. */
  onRecoveryFailed?: (error: Error) => void;
}

/** A stream in the worker. */
export class WorkerStream {
  readonly id: number;
  readonly #client: RecognizerClient;

  /** @internal */
  constructor(id: number, client: RecognizerClient) {
    this.id = id;
    this.#client = client;
  }

  /** Takes the next samples; they are copied. What comes after the stream's end is dropped. */
  push({ samples, sampleRate, capturedAt }: WorkerAudio): void {
    const copy = samples.slice();
    this.#client.tell('push', [this.id, { samples: copy, sampleRate, capturedAt }], [copy.buffer]);
  }

  /** Ends the input; the last update says so, and the stream is closed with it. */
  finish(): void {
    this.#client.tell('finish', [this.id]);
  }

  /** Looks for other keywords from now on. @throws RillError `bad-model` for lines that the model cannot spell. */
  setKeywords(keywords: string): Promise<void> {
    return this.#client.call('setKeywords', [this.id, keywords]);
  }

  /** Changes what is posted besides results. */
  setOptions(options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void {
    this.#client.tell('setOptions', [this.id, options]);
  }

  close(): void {
    this.#client.closeStream(this.id);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A recognizer in a worker, so that the page never waits for it: features, GPU and search run there. The worker is a
 * file of the page's own of two lines,
 *
 * ```ts
 * import { serveRecognizer } from 'rill';
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
 */
export class RecognizerClient {
  readonly #worker: Worker;
  readonly #handlers: WorkerHandlers;
  readonly #calls = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void; onProgress?: (event: LoadEvent) => void }
  >();
  readonly #streams = new Map<number, WorkerStreamHandlers>();
  #next = 1;
  /** Why the worker can no longer be called. */
  #ended: Error | undefined;

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
  }

  /**
   * Loads a model, in place of the one before; streams of that one end, and their `onError` says so.
   *
   * @param source the address of a model folder, relative to the page, or its files
   * @throws RillError as {@link OnlineRecognizer.load}; what the signal is aborted with.
   */
  async load(
    source: string | ModelFiles,
    { onProgress, signal, ...options }: WorkerLoadOptions = {},
  ): Promise<RecognizerInfo> {
    signal?.throwIfAborted();
    const address = typeof source === 'string' ? new URL(source, globalThis.location.href).href : source;
    const id = this.#next;
    const cancel = () => {
      this.#post({ cancel: id });
    };
    signal?.addEventListener('abort', cancel);
    try {
      return await this.call('load', [address, options], [], onProgress);
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

  async createStream(handlers: WorkerStreamHandlers): Promise<WorkerStream> {
    const id = this.#next++;
    const { hotwords, keywords, features, stateLayer } = handlers;
    this.#streams.set(id, handlers);
    try {
      await this.call('open', [id, { hotwords, keywords, features, stateLayer }]);
    } catch (error) {
      this.#streams.delete(id);
      throw error;
    }
    return new WorkerStream(id, this);
  }

  setChunkFrames(frames: number): Promise<void> {
    return this.call('setChunkFrames', [frames]);
  }

  /** Runs copies of a recording, each in a session of its own, as fast as they go. */
  crowd(sessions: number, audio: WaveformChunk): Promise<CrowdReport> {
    return this.call('crowd', [sessions, audio]);
  }

  /** Destroys the GPU device, to try out what happens when it is lost. */
  loseDevice(): Promise<void> {
    return this.call('loseDevice', []);
  }

  /** Ends the worker. */
  dispose(): void {
    this.#worker.terminate();
    this.#end(
      new RillError('closed', {
        got: 'a worker that was disposed of',
        expected: 'an open one',
        remedy: 'Create a new worker and client.',
      }),
    );
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  closeStream(id: number): void {
    this.#streams.delete(id);
    this.tell('close', [id]);
  }

  /** @internal A call whose failure shows in the stream. */
  tell<Method extends HostMethod>(
    method: Method,
    args: Parameters<HostMethods[Method]>,
    transfer: Transferable[] = [],
  ): void {
    this.call(method, args, transfer).catch((error: unknown) => {
      const id = args[0];
      const handlers = typeof id === 'number' ? this.#streams.get(id) : undefined;
      if (handlers) {
        tellError(handlers, error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  /** @internal */
  call<Method extends HostMethod>(
    method: Method,
    args: Parameters<HostMethods[Method]>,
    transfer: Transferable[] = [],
    onProgress?: (event: LoadEvent) => void,
  ): Promise<ReturnType<HostMethods[Method]>> {
    const call = this.#next++;
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
  #end(error: Error): void {
    this.#ended = error;
    const waiting = [...this.#calls.values()];
    const streams = [...this.#streams.values()];
    this.#calls.clear();
    this.#streams.clear();
    waiting.forEach(({ reject }) => {
      reject(error);
    });
    streams.forEach((handlers) => {
      tellError(handlers, error);
    });
  }

  #post(message: ToHost, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
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
    const handlers = this.#streams.get(stream);
    if (update.ended) {
      this.#streams.delete(stream);
    }
    handlers?.onUpdate(update);
  }

  #endStream(stream: number, error: Error): void {
    const handlers = this.#streams.get(stream);
    this.#streams.delete(stream);
    if (handlers) {
      tellError(handlers, error);
    }
  }

  #tellEvent(event: HostEvent): void {
    switch (event.type) {
      case 'progress':
        this.#calls.get(event.call)?.onProgress?.(event.event);
        break;
      case 'update':
        this.#update(event.stream, event.update);
        break;
      case 'features':
        this.#streams.get(event.stream)?.onFeatures?.(event.features);
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
