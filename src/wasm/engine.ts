import type { EncoderOptions } from '../encoder/encoder.ts';
import type { DeviceInfo, Engine, MemoryPart } from '../encoder/engine.ts';
import type { Model } from '../model/model.ts';
import { WasmEncoder } from './encoder.ts';
import type { Threads } from './threads.ts';

/** The CPU, in the calling thread or, with many streams, in several: nothing to open, nothing to lose. */
export class WasmEngine implements Engine {
  readonly device: Readonly<DeviceInfo>;
  readonly lost = new Promise<string>(() => undefined);
  readonly #memory = new Map<MemoryPart, number>();
  readonly #encoders = new Set<WasmEncoder>();
  readonly #threads: Threads | undefined;

  /**
   * @param reason why the CPU was taken, in a few words
   * @param threads the calling one only, by default
   */
  constructor(reason = 'asked for', threads?: Threads) {
    this.#threads = threads;
    const name = `CPU, WebAssembly, ${threads ? `${threads.count} threads` : 'one thread'}`;
    this.device = { kind: 'cpu', name, reason };
  }

  /** Threads of a step, the calling one among them. */
  get threads(): number {
    return this.#threads?.count ?? 1;
  }

  get memory(): ReadonlyMap<MemoryPart, number> {
    return this.#memory;
  }

  async createEncoder(model: Model, options: EncoderOptions = {}): Promise<WasmEncoder> {
    const owner = {
      account: (part: MemoryPart, bytes: number) => {
        this.#memory.set(part, (this.#memory.get(part) ?? 0) + bytes);
      },
      onDispose: (ended: WasmEncoder) => {
        this.#encoders.delete(ended);
      },
    };
    const encoder = await WasmEncoder.create(model, options, owner, this.#threads);
    this.#encoders.add(encoder);
    return encoder;
  }

  dispose(): void {
    this.#encoders.forEach((encoder) => {
      encoder.dispose();
    });
  }
}
