import type { Model } from '../model/model.ts';
import type { Encoder, EncoderOptions } from './encoder.ts';

/** What memory is for; `profile` and `trace` come with those calls and go with them. */
export type MemoryPart = 'weights' | 'gradients' | 'states' | 'activations' | 'readback' | 'profile' | 'trace';

/** What encoders run on. */
export interface DeviceInfo {
  /** The GPU, or WebAssembly. */
  kind: 'webgpu' | 'cpu';
  /** For people: the adapter's name, or the CPU. */
  name: string;
  /** Why this one, in a few words. */
  reason: string;
}

/**
 * A `GPUDevice` of WebGPU, as far as it has to be known here. Whoever has the types of WebGPU hands one in as it is, and
 * casts what comes out; whoever has not compiles all the same.
 */
export interface GpuDevice {
  /** Resolves when the device is lost. */
  readonly lost: Promise<object>;
  /** Ends the device; whatever was made on it is lost. */
  destroy(): void;
}

/** A device that encoders can be made on. */
export interface Engine {
  /** What it is, and why it was taken. */
  readonly device: Readonly<DeviceInfo>;
  /** The device on WebGPU, for work of your own beside the encoder's; absent on the CPU. */
  readonly gpuDevice?: GpuDevice;
  /** Bytes by what they are for: `weights`, `states`, `activations`, `readback`. */
  readonly memory: ReadonlyMap<string, number>;
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
