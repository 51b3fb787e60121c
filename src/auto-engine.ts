import type { Encoder, EncoderOptions } from './encoder/encoder.ts';
import type { DeviceInfo, Engine, MemoryPart } from './encoder/engine.ts';
import { timeSteps } from './encoder/timing.ts';
import { RillError } from './errors.ts';
import type { Model } from './model/model.ts';
import { WasmEngine } from './wasm/engine.ts';
import type { GpuContext } from './webgpu/device/context.ts';
import { keep, recall } from './webgpu/device/kernel-store.ts';
import type { WebGpuEncoder } from './webgpu/encoder.ts';
import { WebGpuEngine } from './webgpu/engine.ts';
import type { KernelOptions } from './webgpu/kernel-options.ts';

/** Steps that are timed on each device after a first one; the fastest counts, and this is what they may take. */
const STEPS = 5;
const BUDGET_MS = 500;
/** Encoder frames of a step, and streams where many were asked for. */
const FRAMES = 4;
const MOST_STREAMS = 16;
/** Raised when something else than the models and the shaders changes what would be chosen. */
const CHOICE_VERSION = 1;

type Kind = DeviceInfo['kind'];

/**
 * A GPU and the CPU, until a model comes: then each runs a chunk of it, for as many streams as were asked for, and the faster
 * one stays. The choice is kept from one start to the next, as choices of kernels are.
 */
export class AutoEngine implements Engine {
  readonly lost: Promise<string>;
  readonly #gpu: WebGpuEngine;
  readonly #cpu: WasmEngine;
  readonly #options: KernelOptions;
  #device: Readonly<DeviceInfo>;
  #isChosen = false;

  constructor(context: GpuContext, options: KernelOptions = {}, cpu = new WasmEngine()) {
    this.#options = options;
    this.#cpu = cpu;
    this.#gpu = new WebGpuEngine(context, options);
    this.#device = { ...this.#gpu.device, reason: 'a GPU; not held against the CPU yet' };
    // The CPU cannot be lost: who has chosen it does not mind.
    this.lost = new Promise((resolve) => {
      void this.#gpu.lost.then((cause) => {
        if (this.#device.kind === 'webgpu') {
          resolve(cause);
        }
      });
    });
  }

  get device(): Readonly<DeviceInfo> {
    return this.#device;
  }

  get gpuDevice(): GPUDevice | undefined {
    const { chosen } = this;
    return chosen instanceof WebGpuEngine ? chosen.gpuDevice : undefined;
  }

  get memory(): ReadonlyMap<MemoryPart, number> {
    return this.chosen.memory;
  }

  /** The GPU, whether it was taken or not. */
  get gpu(): WebGpuEngine {
    return this.#gpu;
  }

  /** The engine that was taken; the GPU before a model came. */
  get chosen(): WebGpuEngine | WasmEngine {
    return this.#device.kind === 'webgpu' ? this.#gpu : this.#cpu;
  }

  /** The first one decides; those that come later are made on the device that was taken. */
  async createEncoder(model: Model, options: EncoderOptions = {}): Promise<Encoder> {
    if (this.#isChosen) {
      return this.chosen.createEncoder(model, options);
    }
    const encoder = await this.#choose(model, options);
    this.#isChosen = true;
    return encoder;
  }

  async #choose(model: Model, options: EncoderOptions): Promise<Encoder> {
    const store = this.#options.kernelStore ?? this.#gpu.context.kernelStore;
    const key = JSON.stringify([
      'engine',
      CHOICE_VERSION,
      this.#gpu.context.adapter,
      globalThis.navigator?.userAgent,
      model.sizes.encoder,
      options.dtype ?? 'auto',
      streamsOf(options),
      this.#cpu.threads,
    ]);
    const kept = await recall(store, key);
    if (kept === 'webgpu' || kept === 'cpu') {
      this.#device = this.#info(kept, 'the faster one, as it was measured before');
      return this.chosen.createEncoder(model, options);
    }
    const onCpu = await this.#cpu.createEncoder(model, options);
    const cpuMs = await stepMs(onCpu, options);
    let onGpu: WebGpuEncoder;
    let gpuMs: number;
    try {
      onGpu = await this.#gpu.createEncoder(model, options);
      gpuMs = await stepMs(onGpu, options);
      const { kernels } = onGpu;
      // Only where the first kernels lose to the CPU the fastest have to be known.
      if (gpuMs >= cpuMs && (await onGpu.settledKernels()) !== kernels) {
        gpuMs = await stepMs(onGpu, options);
      }
    } catch (error) {
      if (error instanceof RillError && ['shader', 'gpu', 'device-lost'].includes(error.code)) {
        this.#device = this.#info('cpu', `the GPU could not run the model (${error.got})`);
        return onCpu;
      }
      onCpu.dispose();
      throw error;
    }
    const faster: Kind = gpuMs < cpuMs ? 'webgpu' : 'cpu';
    const streams = streamsOf(options) === 1 ? 'a chunk' : `a chunk of ${streamsOf(options)} streams`;
    this.#device = this.#info(
      faster,
      `${streams} takes ${gpuMs.toFixed(2)} ms on the GPU, ${cpuMs.toFixed(2)} ms on the CPU`,
    );
    await keep(store, key, faster);
    const [taken, left] = faster === 'webgpu' ? [onGpu, onCpu] : [onCpu, onGpu];
    left.dispose();
    return taken;
  }

  dispose(): void {
    this.#gpu.dispose();
    this.#cpu.dispose();
  }

  #info(kind: Kind, reason: string): DeviceInfo {
    return { ...(kind === 'webgpu' ? this.#gpu : this.#cpu).device, reason };
  }
}

/** Streams that a choice is made for: one, where nobody said how many. */
const streamsOf = ({ maxStreams = 1 }: EncoderOptions) => Math.min(maxStreams, MOST_STREAMS);

/** Milliseconds of a step from features to results, at the best. */
async function stepMs(encoder: Encoder, options: EncoderOptions): Promise<number> {
  const frames = Math.min(FRAMES, encoder.capacity.maxFrames);
  const streams = Math.min(streamsOf(options), encoder.freeLanes);
  return Math.min(...(await timeSteps(encoder, { streams, frames, steps: STEPS, budgetMs: BUDGET_MS })));
}
