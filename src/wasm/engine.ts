import type { EncoderOptions } from '../encoder/encoder.ts';
import type { DeviceInfo, Engine, MemoryPart } from '../encoder/engine.ts';
import type { Model } from '../model/model.ts';
import { WasmEncoder } from './encoder.ts';

/** The CPU, in the calling thread: nothing to open, nothing to lose. */
export class WasmEngine implements Engine {
  readonly device: Readonly<DeviceInfo>;
  readonly lost = new Promise<string>(() => undefined);
  readonly #memory = new Map<MemoryPart, number>();
  readonly #encoders = new Set<WasmEncoder>();

  /** @param reason why the CPU was taken, in a few words */
  constructor(reason = 'asked for') {
    this.device = { kind: 'cpu', name: 'CPU, WebAssembly, one thread', reason };
  }

  get memory(): ReadonlyMap<MemoryPart, number> {
    return this.#memory;
  }

  async createEncoder(model: Model, options: EncoderOptions = {}): Promise<WasmEncoder> {
    const encoder = await WasmEncoder.create(model, options, {
      account: (part, bytes) => {
        this.#memory.set(part, (this.#memory.get(part) ?? 0) + bytes);
      },
      onDispose: (ended) => {
        this.#encoders.delete(ended);
      },
    });
    this.#encoders.add(encoder);
    return encoder;
  }

  dispose(): void {
    this.#encoders.forEach((encoder) => {
      encoder.dispose();
    });
  }
}
