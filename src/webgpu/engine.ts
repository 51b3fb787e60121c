import type { EncoderOptions } from '../encoder/encoder.ts';
import type { DeviceInfo, Engine, MemoryPart } from '../encoder/engine.ts';
import type { Model } from '../model/model.ts';
import type { GpuContext } from './device/context.ts';
import { WebGpuEncoder } from './encoder.ts';
import type { KernelOptions } from './kernel-options.ts';

/** A GPU device that encoders are made on. */
export class WebGpuEngine implements Engine {
  readonly context: GpuContext;
  readonly device: Readonly<DeviceInfo>;
  readonly #options: KernelOptions;

  /** @param reason why this device was taken, in a few words */
  constructor(context: GpuContext, options: KernelOptions = {}, reason = 'asked for') {
    this.context = context;
    this.device = { kind: 'webgpu', name: context.adapterName, reason };
    this.#options = options;
  }

  get gpuDevice(): GPUDevice {
    return this.context.device;
  }

  get memory(): ReadonlyMap<MemoryPart, number> {
    return this.context.memory;
  }

  get lost(): Promise<string> {
    return this.context.lost;
  }

  createEncoder(model: Model, options: EncoderOptions = {}): Promise<WebGpuEncoder> {
    return WebGpuEncoder.create(this.context, model, { ...options, ...this.#options });
  }

  dispose(): void {
    this.context.dispose();
  }
}
