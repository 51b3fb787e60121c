import { convertCheckpoint } from '../checkpoint/on-demand.ts';
import type { Engine } from '../encoder/engine.ts';
import { isSupported } from '../engine.ts';
import { RillError } from '../errors.ts';
import { secondsPerFrame } from '../model/config.ts';
import { fetchModel, type LoadEvent } from '../model/fetch.ts';
import { openModel, type Model, type ModelFiles } from '../model/model.ts';
import { countParameters } from '../model/sizes.ts';
import { LoadProgress } from '../recognizer/load-progress.ts';
import type { StreamingOptions } from '../recognizer/options.ts';
import { OnlineRecognizer } from '../recognizer/recognizer.ts';
import { Scheduler } from '../recognizer/scheduler.ts';
import { KeywordSpotter } from '../recognizer/spotter.ts';
import type { Waveform } from '../waveform/waveform.ts';
import { postError } from './errors.ts';
import { HostStream } from './host-stream.ts';
import type {
  FromHost,
  HostEvent,
  HostMethod,
  HostMethods,
  RecognizerInfo,
  ToHost,
  WorkerConvertOptions,
  WorkerRecognizerOptions,
  WorkerSpotterOptions,
  WorkerStreamOptions,
  WorkerVerbs,
} from './messages.ts';
import { hostedSpotter } from './spotting.ts';
import { Supervisor, type Loaded, type MakeHosted, type Survivors } from './supervisor.ts';

/**
 * The worker's side of {@link RecognizerClient}: call this in a worker's own file.
 *
 * @param verbs what the page may ask this worker for besides, by {@link RecognizerClient.ask}
 */
export function serveRecognizer(verbs: WorkerVerbs = {}): void {
  const scope = globalThis as unknown as {
    onmessage: ((event: MessageEvent<ToHost>) => void) | null;
    postMessage(message: FromHost, transfer?: Transferable[]): void;
  };
  const host = new RecognizerHost(verbs, (message, transfer) => {
    scope.postMessage(message, transfer);
  });
  scope.onmessage = ({ data }) => {
    void host.receive(data);
  };
  host.greet();
}

const DEFAULT_MAX_FRAMES = 16;

/** Options of a model whose chunks may grow later. */
const inChunks = <Options extends StreamingOptions>(options: Options, chunkFrames: number | undefined) => ({
  ...options,
  maxFrames: options.maxFrames ?? DEFAULT_MAX_FRAMES,
  chunkFrames,
});

/** A method with the number of the call before its arguments, for its progress; promises or not. */
type Handler<Method extends HostMethod> = (
  host: RecognizerHost,
  call: number,
  ...args: Parameters<HostMethods[Method]>
) => ReturnType<HostMethods[Method]> | Promise<ReturnType<HostMethods[Method]>>;

/** All that a message can ask for: nothing else of the host can be reached. */
const HANDLERS: Readonly<{ [Method in HostMethod]: Handler<Method> }> = {
  load: (host, call, source, options) => host.load(call, source, options),
  loadSpotter: (host, call, source, options) => host.loadSpotter(call, source, options),
  isSupported: (_host, _call, device) => isSupported(device),
  convert: (host, call, files, options) => host.convert(call, files, options),
  setChunkFrames: (host, _, frames) => host.setChunkFrames(frames),
  open: (host, _, stream, options) => host.open(stream, options),
  push: (host, _, stream, audio) => host.push(stream, audio),
  finish: (host, _, stream) => host.finish(stream),
  setKeywords: (host, _, stream, keywords) => host.setKeywords(stream, keywords),
  setHotwords: (host, _, stream, hotwords) => host.setHotwords(stream, hotwords),
  setOptions: (host, _, stream, options) => host.setOptions(stream, options),
  close: (host, _, stream) => host.close(stream),
  ask: (host, _, verb, args) => host.ask(verb, args),
};

/** @throws RillError `bad-argument` for a method that there is not. */
function handlerOf(method: string): (host: RecognizerHost, call: number, ...args: readonly unknown[]) => unknown {
  if (!Object.hasOwn(HANDLERS, method)) {
    throw new RillError('bad-argument', {
      got: `a message for ${JSON.stringify(method)}`,
      expected: Object.keys(HANDLERS).join(', '),
      remedy: 'Page and worker must be of the same version of Rill.',
    });
  }
  // The message pairs a method with its arguments; TypeScript cannot follow that through the table.
  return HANDLERS[method as HostMethod] as (host: RecognizerHost, call: number, ...args: readonly unknown[]) => unknown;
}

class RecognizerHost implements Survivors {
  readonly #verbs: WorkerVerbs;
  readonly #postMessage: (message: FromHost, transfer?: Transferable[]) => void;
  readonly #streams = new Map<number, HostStream>();
  readonly #cancels = new Map<number, AbortController>();
  readonly #supervisor: Supervisor;
  readonly #scheduler: Scheduler<HostStream>;

  constructor(verbs: WorkerVerbs, postMessage: (message: FromHost, transfer?: Transferable[]) => void) {
    this.#verbs = verbs;
    this.#postMessage = postMessage;
    this.#supervisor = new Supervisor(this);
    this.#scheduler = new Scheduler(
      (streams) => this.#decode(streams),
      () => this.#supervisor.loaded?.hosted.encoder.capacity.maxLanes ?? 1,
    );
  }

  /** Says that messages are read now; those before may be lost. */
  greet(): void {
    this.#tell({ type: 'ready' });
  }

  /** Answers one message. */
  async receive(message: ToHost): Promise<void> {
    if ('cancel' in message) {
      this.#cancels.get(message.cancel)?.abort();
      return;
    }
    if ('hello' in message) {
      this.greet();
      return;
    }
    const { call, method, args } = message;
    try {
      this.#postMessage({ call, value: await handlerOf(method)(this, call, ...args) });
    } catch (error) {
      this.#postMessage({ call, error: postError(error) });
    } finally {
      this.#cancels.delete(call);
    }
  }

  load(call: number, source: string | ModelFiles, options: WorkerRecognizerOptions): Promise<RecognizerInfo> {
    return this.#load(
      call,
      source,
      options,
      (model, onTensor) =>
        (engine, chunkFrames = options.chunkFrames) =>
          OnlineRecognizer.create(engine, model, {
            onTensor: () => onTensor(engine),
            ...inChunks(options, chunkFrames),
          }),
    );
  }

  loadSpotter(call: number, source: string | ModelFiles, options: WorkerSpotterOptions): Promise<RecognizerInfo> {
    return this.#load(
      call,
      source,
      options,
      (model, onTensor) =>
        async (engine, chunkFrames = options.chunkFrames) =>
          hostedSpotter(
            await KeywordSpotter.create(engine, model, {
              onTensor: () => onTensor(engine),
              ...inChunks(options, chunkFrames),
            }),
          ),
    );
  }

  async #load(
    call: number,
    source: string | ModelFiles,
    { cache, device, kernels, rehearse, threads }: WorkerRecognizerOptions | WorkerSpotterOptions,
    maker: (model: Model, onTensor: (engine: Engine) => void) => MakeHosted,
  ): Promise<RecognizerInfo> {
    const cancel = new AbortController();
    const { signal } = cancel;
    this.#cancels.set(call, cancel);
    const progress = new LoadProgress(typeof source === 'string' ? source : 'model', this.#progress(call));
    const model =
      typeof source === 'string'
        ? await fetchModel(source, { cache, onProgress: progress.onFetch, signal })
        : openModel(source);
    // Only now do the streams before end: a model that does not load leaves the one before in its place.
    const loaded = await this.#supervisor.load(
      { model, engine: { device, kernels, rehearse, threads }, make: maker(model, progress.onTensor(model)) },
      signal,
      () => {
        this.#endAll();
      },
    );
    progress.ready();
    return infoOf(loaded);
  }

  convert(call: number, files: Blob[], options: WorkerConvertOptions): Promise<ModelFiles> {
    const progress = this.#progress(call);
    return convertCheckpoint(files, {
      ...options,
      onWritten: (loaded, total) => {
        const share = { loaded, total, progress: (100 * loaded) / total };
        progress({ status: 'progress_total', name: 'convert', files: {}, ...share });
      },
    });
  }

  async setChunkFrames(frames: number): Promise<void> {
    (await this.#supervisor.require()).hosted.chunkFrames = frames;
  }

  async open(id: number, options: WorkerStreamOptions): Promise<void> {
    const { hosted } = await this.#supervisor.require();
    const stream = new HostStream(hosted, options, {
      update: (update) => {
        this.#tell({ type: 'update', stream: id, update });
        if (update.ended) {
          this.close(id);
        }
      },
      features: (features) => {
        this.#tell({ type: 'features', stream: id, features });
      },
    });
    this.#streams.set(id, stream);
  }

  push(id: number, audio: Waveform): void {
    const stream = this.#stream(id);
    stream.push(audio);
    this.#scheduler.wake(stream);
  }

  finish(id: number): void {
    const stream = this.#stream(id);
    stream.finish();
    this.#scheduler.wake(stream);
  }

  async setKeywords(id: number, keywords: string): Promise<void> {
    await this.#supervisor.require();
    this.#stream(id).setKeywords(keywords);
  }

  async setHotwords(id: number, hotwords: string): Promise<void> {
    await this.#supervisor.require();
    this.#stream(id).setHotwords(hotwords);
  }

  setOptions(id: number, options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void {
    this.#stream(id).setOptions(options);
  }

  close(id: number): void {
    const stream = this.#streams.get(id);
    if (stream) {
      stream.close();
      this.#streams.delete(id);
      this.#scheduler.forget(stream);
    }
  }

  async ask(verb: string, args: readonly unknown[]): Promise<unknown> {
    const run = Object.hasOwn(this.#verbs, verb) ? this.#verbs[verb] : undefined;
    if (!run) {
      throw new RillError('bad-argument', {
        got: `the verb ${JSON.stringify(verb)}`,
        expected: Object.keys(this.#verbs).join(', ') || 'none: this worker has no verbs of its own',
        remedy: 'Hand it to serveRecognizer({ … }) in the worker’s file.',
      });
    }
    const { engine, model } = await this.#supervisor.require();
    // Page and worker are built together, of one type of verbs: RecognizerClient<Verbs>.
    return run({ engine, model }, ...(args as never[]));
  }

  /** A step; what fails of it ends the streams whose own search failed, or all when the failure is nobody's own. */
  async #decode(members: readonly HostStream[]): Promise<void> {
    const { loaded } = this.#supervisor;
    const streams = members.flatMap(({ stream }) => stream ?? []);
    if (!loaded || streams.length === 0) {
      return;
    }
    try {
      await loaded.hosted.decode(streams);
    } catch (error) {
      if (!(await this.#supervisor.isLost(loaded))) {
        this.#endFailed(error);
      }
    }
  }

  #endFailed(error: unknown): void {
    const failed = [...this.#streams].filter(([, { stream }]) => stream?.hasFailed);
    for (const [id] of failed.length > 0 ? failed : [...this.#streams]) {
      this.#endStream(id, error);
    }
  }

  #endAll(): void {
    for (const id of [...this.#streams.keys()]) {
      const error = new RillError('closed', {
        got: 'a stream of the model before',
        expected: 'one of the model that is loaded now',
        remedy: 'Create a new stream.',
      });
      this.#endStream(id, error);
    }
  }

  #endStream(id: number, error: unknown): void {
    this.#tell({ type: 'error', stream: id, error: postError(error) });
    this.close(id);
  }

  /** The device is gone: whatever still comes of it is of no use, and the streams are cut off from it at once. */
  suspend(): void {
    this.#streams.forEach((stream) => {
      stream.suspend();
    });
  }

  lost(error: RillError): void {
    this.#tell({ type: 'device-lost', error: postError(error) });
  }

  /** Every stream goes on behind what it has said. */
  resume(loaded: Loaded): void {
    for (const [id, stream] of [...this.#streams]) {
      try {
        stream.resume(loaded.hosted);
        this.#scheduler.wake(stream);
      } catch (cause) {
        // Audio that came meanwhile may be bad: that is this stream's own.
        this.#endStream(id, cause);
      }
    }
    this.#tell({ type: 'recovered', info: infoOf(loaded) });
  }

  failed(cause: unknown): void {
    this.#endFailed(cause);
    this.#tell({ type: 'recovery-failed', error: postError(cause) });
  }

  #stream(id: number): HostStream {
    const stream = this.#streams.get(id);
    if (!stream) {
      throw new RillError('closed', {
        got: 'a stream that was closed',
        expected: 'an open one',
        remedy: 'Create a new stream; loading another model closes those of the one before.',
      });
    }
    return stream;
  }

  #progress(call: number): (event: LoadEvent) => void {
    return (event) => {
      this.#tell({ type: 'progress', call, event });
    };
  }

  #tell(event: HostEvent): void {
    this.#postMessage({ event });
  }
}

function infoOf({ engine, model, hosted }: Loaded): RecognizerInfo {
  const { encoder } = hosted;
  return {
    device: engine.device,
    dtype: encoder.dtype,
    sizes: model.sizes,
    parameters: countParameters(model.sizes),
    method: hosted.decodingMethod,
    chunkFrames: hosted.chunkFrames,
    maxFrames: encoder.capacity.maxFrames,
    secondsPerFrame: secondsPerFrame(model.config),
    numFeatures: encoder.sizes.numFeatures,
    memory: Object.fromEntries(engine.memory),
    keywords: model.keywords ?? '',
  };
}
