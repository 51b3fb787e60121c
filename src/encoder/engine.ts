import type { Model } from '../model/model.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';

/** What memory is for; `profile` and `trace` come with those calls and go with them. */
export type MemoryPart = 'weights' | 'states' | 'activations' | 'readback' | 'profile' | 'trace';

/** What encoders run on. */
export interface DeviceInfo {
  kind: 'webgpu' | 'cpu';
  /** For people: the adapter's name, or the CPU. */
  name: string;
  /** Why this one, in a few words. */
  reason: string;
}

/** A device that encoders can be made on. */
export interface Engine {
  readonly device: Readonly<DeviceInfo>;
  /** Bytes by what they are for. */
  readonly memory: ReadonlyMap<MemoryPart, number>;
  /** Resolves with the cause when the device is lost; never for one that was disposed of, or cannot be lost. */
  readonly lost: Promise<string>;
  /**
   * Loads a model's encoder.
   *
   * @throws RillError `bad-argument` for options out of range, `bad-model`, `shader`, `gpu`, `device-lost`.
   */
  createEncoder(model: Model, options?: EncoderOptions): Promise<Encoder>;
  /** Gives the device back. Whatever was made on it can no longer be used. */
  dispose(): void;
}
