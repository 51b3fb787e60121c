import { blobSource } from '../checkpoint/bytes.ts';
import { convertCheckpoint, countParameters } from '../checkpoint/convert.ts';
import { RillError } from '../errors.ts';
import { GpuContext, isSupported } from '../gpu/context.ts';
import { secondsPerFrame } from '../model/config.ts';
import { fetchModel, type LoadEvent } from '../model/fetch.ts';
import { openModel, type Model, type ModelFiles } from '../model/model.ts';
import type { StreamingOptions } from '../recognizer/options.ts';
import { OnlineRecognizer } from '../recognizer/recognizer.ts';
import { KeywordSpotter } from '../recognizer/spotter.ts';
import { postError } from './errors.ts';
import { HostStream } from './host-stream.ts';
import type {
  FromHost,
  HostEvent,
  HostMethods,
  RecognizerInfo,
  ToHost,
  WorkerAudio,
  WorkerConvertOptions,
  WorkerModel,
  WorkerRecognizerOptions,
  WorkerSpotterOptions,
  WorkerStreamOptions,
  WorkerVerbs,
} from './messages.ts';
import { SpottingEngine, type HostedEngine } from './spotting.ts';

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

/** Makes what streams run on; with a chunk size in place of that of the options. */
type MakeEngine = (gpu: GpuContext, chunkFrames?: number) => Promise<HostedEngine>;

/** What is loaded, and how to make it again. */
interface Loaded extends WorkerModel {
  make: MakeEngine;
  recognizer: HostedEngine;
}

const DEFAULT_MAX_FRAMES = 16;

/** Options of a model whose chunks may grow later. */
const inChunks = <Options extends StreamingOptions>(options: Options, chunkFrames: number | undefined) => ({
  ...options,
  maxFrames: options.maxFrames ?? DEFAULT_MAX_FRAMES,
  chunkFrames,
});
/** How long the notice of a lost device may come after the first failure. */
const LOSS_NOTICE_MS = 250;
/** Devices that may be lost within a minute; browsers take WebGPU away from pages that lose more. */
const MOST_LOSSES = 3;
const LOSSES_WITHIN_MS = 60_000;
/** How often an adapter is asked for after a loss, and what lies between. */
const ADAPTER_ATTEMPTS = 5;
const ADAPTER_PAUSE_MS = 1000;

/** The methods with the number of the call behind their arguments, for its progress; promises or not. */
type Handlers = {
  [Method in keyof HostMethods]: (
    ...args: [...Parameters<HostMethods[Method]>, call: number]
  ) => ReturnType<HostMethods[Method]> | Promise<ReturnType<HostMethods[Method]>>;
};

class RecognizerHost implements Handlers {
  readonly #verbs: WorkerVerbs;
  readonly #postMessage: (message: FromHost, transfer?: Transferable[]) => void;
  readonly #streams = new Map<number, HostStream>();
  readonly #cancels = new Map<number, AbortController>();
  #loaded: Loaded | undefined;
  /** Loading and recovering take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #recovering: Promise<void> | undefined;
  #pumping = false;
  /** When devices were lost, the last few. */
  #losses: number[] = [];

  constructor(verbs: WorkerVerbs, postMessage: (message: FromHost, transfer?: Transferable[]) => void) {
    this.#verbs = verbs;
    this.#postMessage = postMessage;
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
      // The message pairs a method with its arguments; TypeScript cannot follow that through the table.
      const methods = this as unknown as Record<string, (...args: unknown[]) => unknown>;
      this.#postMessage({ call, value: await methods[method](...args, call) });
    } catch (error) {
      this.#postMessage({ call, error: postError(error) });
    } finally {
      this.#cancels.delete(call);
    }
  }

  load(
    source: string | ModelFiles,
    { cache, ...options }: WorkerRecognizerOptions,
    call: number,
  ): Promise<RecognizerInfo> {
    return this.#load(
      source,
      cache,
      call,
      (model) =>
        (gpu, chunkFrames = options.chunkFrames) =>
          OnlineRecognizer.create(gpu, model, inChunks(options, chunkFrames)),
    );
  }

  loadSpotter(
    source: string | ModelFiles,
    { cache, ...options }: WorkerSpotterOptions,
    call: number,
  ): Promise<RecognizerInfo> {
    return this.#load(
      source,
      cache,
      call,
      (model) =>
        async (gpu, chunkFrames = options.chunkFrames) =>
          new SpottingEngine(await KeywordSpotter.create(gpu, model, inChunks(options, chunkFrames))),
    );
  }

  async #load(
    source: string | ModelFiles,
    cache: boolean | string | undefined,
    call: number,
    maker: (model: Model) => MakeEngine,
  ): Promise<RecognizerInfo> {
    const cancel = new AbortController();
    const { signal } = cancel;
    this.#cancels.set(call, cancel);
    const onProgress = this.#progress(call);
    const model =
      typeof source === 'string' ? await fetchModel(source, { cache, onProgress, signal }) : openModel(source);
    return this.#takeTurn(async () => {
      signal.throwIfAborted();
      const loaded = await this.#start(model, maker(model));
      if (signal.aborted) {
        release(loaded);
        signal.throwIfAborted();
      }
      // Only now: a model that does not load leaves the one before in its place.
      this.#unload();
      this.#adopt(loaded);
      return this.#info(loaded);
    });
  }

  isSupported(): Promise<boolean> {
    return isSupported();
  }

  convert(files: Blob[], { normEpsFrom, ...options }: WorkerConvertOptions, call: number): Promise<ModelFiles> {
    const progress = this.#progress(call);
    return convertCheckpoint(files.map(blobSource), {
      ...options,
      normEpsFrom: normEpsFrom && blobSource(normEpsFrom),
      onWritten: (loaded, total) => {
        const share = { loaded, total, progress: (100 * loaded) / total };
        progress({ status: 'progress_total', name: 'convert', files: {}, ...share });
      },
    });
  }

  async setChunkFrames(frames: number): Promise<void> {
    (await this.#require()).recognizer.chunkFrames = frames;
  }

  async open(id: number, options: WorkerStreamOptions): Promise<void> {
    const { recognizer } = await this.#require();
    const stream = new HostStream(recognizer, options, {
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

  push(id: number, audio: WorkerAudio): void {
    this.#stream(id).push(audio);
    void this.#pump();
  }

  finish(id: number): void {
    this.#stream(id).finish();
    void this.#pump();
  }

  async setKeywords(id: number, keywords: string): Promise<void> {
    await this.#require();
    this.#stream(id).setKeywords(keywords);
  }

  async setHotwords(id: number, hotwords: string): Promise<void> {
    await this.#require();
    this.#stream(id).setHotwords(hotwords);
  }

  setOptions(id: number, options: Pick<WorkerStreamOptions, 'features' | 'stateLayer'>): void {
    this.#stream(id).setOptions(options);
  }

  close(id: number): void {
    this.#streams.get(id)?.close();
    this.#streams.delete(id);
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
    const { gpu, model } = await this.#require();
    // Page and worker are built together, of one type of verbs: RecognizerClient<Verbs>.
    return run({ gpu, model }, ...(args as never[]));
  }

  /** Decodes whatever is ready, until nothing is. */
  async #pump(): Promise<void> {
    if (this.#pumping) {
      return;
    }
    this.#pumping = true;
    for (;;) {
      await this.#recovering;
      const loaded = this.#loaded;
      const ready = [...this.#streams.values()].flatMap((stream) => (stream.isReady && stream.stream) || []);
      if (ready.length === 0 || !loaded) {
        break;
      }
      try {
        await loaded.recognizer.decode(ready);
      } catch (error) {
        if (!(await this.#isLost(loaded))) {
          this.#endFailed(error);
        }
      }
    }
    this.#pumping = false;
  }

  /** Whether a failure is that of a device which is going: the notice of its loss may come a little later. */
  async #isLost(loaded: Loaded): Promise<boolean> {
    const notice = loaded.gpu.device.lost.then(() => true);
    const patience = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), LOSS_NOTICE_MS));
    return this.#loaded !== loaded || Promise.race([notice, patience]);
  }

  /** Ends the streams whose own search failed; all, when the failure is nobody's own. */
  #endFailed(error: unknown): void {
    const failed = [...this.#streams].filter(([, { stream }]) => stream?.hasFailed);
    for (const [id] of failed.length > 0 ? failed : [...this.#streams]) {
      this.#endStream(id, error);
    }
  }

  #endStream(id: number, error: unknown): void {
    this.#tell({ type: 'error', stream: id, error: postError(error) });
    this.close(id);
  }

  async #start(model: Model, make: MakeEngine, chunkFrames?: number): Promise<Loaded> {
    const gpu = await GpuContext.create();
    try {
      return { gpu, model, make, recognizer: await make(gpu, chunkFrames) };
    } catch (error) {
      gpu.dispose();
      throw error;
    }
  }

  /** @throws RillError `device-lost` where device after device is lost: the work may be what they fail at. */
  #countLoss(): void {
    const now = performance.now();
    this.#losses = [...this.#losses.filter((at) => now - at < LOSSES_WITHIN_MS), now];
    if (this.#losses.length > MOST_LOSSES) {
      throw new RillError('device-lost', {
        got: `${this.#losses.length} lost GPU devices within a minute`,
        expected: 'devices that stay',
        remedy: 'Load the model again, with fewer streams or a smaller dtype; or restart the browser.',
      });
    }
  }

  /** Starts again after a loss: right after one, or when a computer wakes up, there may be no adapter for a moment. */
  async #restart({ model, make, recognizer }: Loaded): Promise<Loaded> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#start(model, make, recognizer.chunkFrames);
      } catch (error) {
        const mayCome = error instanceof RillError && error.code === 'no-adapter' && attempt < ADAPTER_ATTEMPTS;
        if (!mayCome) {
          throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, ADAPTER_PAUSE_MS));
      }
    }
  }

  /** Makes a loaded model the one in use, and watches its device. */
  #adopt(loaded: Loaded): void {
    this.#loaded = loaded;
    void loaded.gpu.device.lost.then(({ reason, message }) => {
      if (this.#loaded === loaded) {
        // Whatever still comes of the lost device is of no use: the streams are cut off from it at once.
        this.#streams.forEach((stream) => {
          stream.suspend();
        });
        this.#recovering = this.#takeTurn(() => this.#recover(loaded, `${reason}${message ? `: ${message}` : ''}`));
      }
    });
  }

  /** Another device, the same model; every stream goes on behind what it has said. */
  async #recover(lost: Loaded, reason: string): Promise<void> {
    if (this.#loaded !== lost) {
      // Another model was loaded meanwhile, and with it another device.
      return;
    }
    const error = new RillError('device-lost', {
      got: `a lost GPU device (${reason})`,
      expected: 'a device that stays',
      remedy: 'Another one is being opened; what was heard is kept.',
    });
    this.#tell({ type: 'device-lost', error: postError(error) });
    lost.recognizer.dispose();
    let loaded: Loaded | undefined;
    try {
      this.#countLoss();
      const started = (loaded = await this.#restart(lost));
      for (const [id, stream] of [...this.#streams]) {
        try {
          stream.resume(started.recognizer);
        } catch (cause) {
          // Audio that came meanwhile may be bad: that is this stream's own.
          this.#endStream(id, cause);
        }
      }
      this.#adopt(started);
      this.#tell({ type: 'recovered', info: this.#info(started) });
    } catch (cause) {
      if (loaded) {
        release(loaded);
      }
      this.#loaded = undefined;
      this.#endFailed(cause);
      this.#tell({ type: 'recovery-failed', error: postError(cause) });
    } finally {
      this.#recovering = undefined;
    }
    void this.#pump();
  }

  #unload(): void {
    for (const id of [...this.#streams.keys()]) {
      const error = new RillError('closed', {
        got: 'a stream of the model before',
        expected: 'one of the model that is loaded now',
        remedy: 'Create a new stream.',
      });
      this.#endStream(id, error);
    }
    const loaded = this.#loaded;
    this.#loaded = undefined;
    if (loaded) {
      release(loaded);
    }
  }

  #takeTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #info({ gpu, model, recognizer }: Loaded): RecognizerInfo {
    const { encoder } = recognizer;
    return {
      adapter: gpu.adapterName,
      dtype: encoder.dtype,
      sizes: model.sizes,
      parameters: countParameters(model.sizes),
      method: recognizer.decodingMethod,
      chunkFrames: recognizer.chunkFrames,
      maxFrames: encoder.capacity.maxFrames,
      secondsPerFrame: secondsPerFrame(model.config),
      numFeatures: encoder.sizes.numFeatures,
      memory: Object.fromEntries(gpu.memory),
      keywords: model.keywords ?? '',
    };
  }

  /** The model in use; while another device is being opened, the one that comes. */
  async #require(): Promise<Loaded> {
    await this.#recovering;
    if (!this.#loaded) {
      throw new RillError('closed', {
        got: 'a worker without a model',
        expected: 'one that has loaded a model',
        remedy: 'Call load first.',
      });
    }
    return this.#loaded;
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

function release({ recognizer, gpu }: Loaded): void {
  recognizer.dispose();
  gpu.dispose();
}
