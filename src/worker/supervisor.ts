import { wasLost } from '../encoder/lost.ts';
import type { Engine } from '../encoder/engine.ts';
import { engineFor, isSupported, type EngineOptions } from '../engine.ts';
import { RillError } from '../errors.ts';
import type { Model } from '../model/model.ts';
import type { WorkerModel } from './messages.ts';
import type { Hosted } from './spotting.ts';

/** Makes what streams run on; with a chunk size in place of that of the options. */
export type MakeHosted = (engine: Engine, chunkFrames?: number) => Promise<Hosted>;

/** What to load, and how to make it again. */
export interface Loading {
  model: Model;
  engine: EngineOptions;
  make: MakeHosted;
}

/** What is loaded. */
export interface Loaded extends WorkerModel {
  from: Loading;
  hosted: Hosted;
}

/** Who is told of a lost device. */
export interface Survivors {
  /** The device is gone: nothing that still comes of it is of any use. */
  suspend(): void;
  /** Another one is being opened. */
  lost(error: RillError): void;
  /** It goes on, on this. */
  resume(loaded: Loaded): void;
  /** It does not go on. */
  failed(cause: unknown): void;
}

/** Devices that may be lost within a minute; browsers take WebGPU away from pages that lose more. */
const MOST_LOSSES = 3;
const LOSSES_WITHIN_MS = 60_000;
/** How often an adapter is asked for after a loss, and what lies between. */
const ADAPTER_ATTEMPTS = 5;
const ADAPTER_PAUSE_MS = 1000;

/** Keeps one model loaded: on another device when one is lost, and another model when that is asked for. */
export class Supervisor {
  readonly #survivors: Survivors;
  #loaded: Loaded | undefined;
  /** Loading and recovering take turns. */
  #turn: Promise<unknown> = Promise.resolve();
  #recovering: Promise<void> | undefined;
  /** When devices were lost, the last few. */
  #losses: number[] = [];

  constructor(survivors: Survivors) {
    this.#survivors = survivors;
  }

  /** What is in use now, if anything is. */
  get loaded(): Loaded | undefined {
    return this.#loaded;
  }

  /** The model in use; while another device is being opened, the one that comes. @throws RillError `closed`. */
  async require(): Promise<Loaded> {
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

  /**
   * Loads a model in place of the one before, which stays if this one does not load.
   *
   * @param replacing called when the one before is about to go
   */
  load(from: Loading, signal: AbortSignal, replacing: () => void): Promise<Loaded> {
    return this.#takeTurn(async () => {
      signal.throwIfAborted();
      const loaded = await start(from);
      if (signal.aborted) {
        release(loaded);
        signal.throwIfAborted();
      }
      replacing();
      const before = this.#loaded;
      this.#adopt(loaded);
      if (before) {
        release(before);
      }
      return loaded;
    });
  }

  /** Whether a failure is that of a device which is going: the notice of its loss may come a little later. */
  async isLost(loaded: Loaded): Promise<boolean> {
    return this.#loaded !== loaded || wasLost(loaded.engine);
  }

  /** Makes a loaded model the one in use, and watches its device. */
  #adopt(loaded: Loaded): void {
    this.#loaded = loaded;
    void loaded.engine.lost.then((reason) => {
      if (this.#loaded === loaded) {
        this.#survivors.suspend();
        this.#recovering = this.#takeTurn(() => this.#recover(loaded, reason));
      }
    });
  }

  /** Another device, the same model. */
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
    this.#survivors.lost(error);
    lost.hosted.dispose();
    let loaded: Loaded | undefined;
    try {
      loaded = await this.#startAgain(lost);
      this.#survivors.resume(loaded);
      this.#adopt(loaded);
    } catch (cause) {
      if (loaded) {
        release(loaded);
      }
      this.#loaded = undefined;
      this.#survivors.failed(cause);
    } finally {
      this.#recovering = undefined;
    }
  }

  /** On another device of the kind; where that is not to be had, and nobody insisted on it, on the CPU. */
  async #startAgain(lost: Loaded): Promise<Loaded> {
    try {
      this.#countLoss();
      return await restart(lost);
    } catch (cause) {
      const { device = 'auto', threads } = lost.from.engine;
      if (device !== 'auto' || !(await isSupported('cpu'))) {
        throw cause;
      }
      return start(
        { ...lost.from, engine: { device: 'cpu', threads } },
        lost.hosted.chunkFrames,
        'GPU device after device was lost',
      );
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

  #takeTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

async function start(from: Loading, chunkFrames?: number, reason?: string): Promise<Loaded> {
  const { engine } = await engineFor(from.engine, reason);
  try {
    return { from, engine, model: from.model, hosted: await from.make(engine, chunkFrames) };
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/** Starts again after a loss: right after one, or when a computer wakes up, there may be no adapter for a moment. */
async function restart({ from, hosted }: Loaded): Promise<Loaded> {
  for (let attempt = 1; ; attempt++) {
    try {
      // What was lost was a GPU: no other can be.
      const engine = { ...from.engine, device: 'webgpu' } as const;
      const started = await start({ ...from, engine }, hosted.chunkFrames, 'the GPU before it was lost');
      return { ...started, from };
    } catch (error) {
      const mayCome = error instanceof RillError && error.code === 'no-adapter' && attempt < ADAPTER_ATTEMPTS;
      if (!mayCome) {
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, ADAPTER_PAUSE_MS));
    }
  }
}

function release({ hosted, engine }: Loaded): void {
  hosted.dispose();
  engine.dispose();
}
