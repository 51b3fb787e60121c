import { encoderClosed, requireFreeStream, requireInputs, resolveCapacity, resolveDtype } from '../encoder/checks.ts';
import type {
  Encoder,
  EncoderCapacity,
  EncoderOptions,
  StepInput,
  StepResult,
  TimedStep,
  TracedResult,
} from '../encoder/encoder.ts';
import type { MemoryPart } from '../encoder/engine.ts';
import { ENCODER_OUT, type HeadOptions, type HeadOutput, type OutputName } from '../encoder/outputs.ts';
import { ProvidedOutputs } from '../encoder/provided.ts';
import type { Model } from '../model/model.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { CPU_OUTPUTS, loadHead, widestOf, type Head } from './heads.ts';
import { loadKernels } from './kernels.ts';
import { Heap } from './memory.ts';
import { LaneState } from './state.ts';
import { Stepper } from './stepper.ts';
import type { Network } from './step.ts';
import { WeightLoader, loadEncoderWeights, type Arithmetic } from './weights.ts';
import { workspaceBytes } from './workspace.ts';

/** What a step's arrays may take: beyond it more lanes of it bring nothing. */
const STEP_BYTES = 64 << 20;

/** What an open encoder has, and gives up when it ends: with it goes the memory. */
interface Loaded {
  network: Network;
  loader: WeightLoader;
  stepper: Stepper;
}

/** Whom an encoder tells what it takes, and its end. */
export interface EncoderOwner {
  account(part: MemoryPart, bytes: number): void;
  onDispose(encoder: WasmEncoder): void;
}

/** The encoder on the CPU: WebAssembly, in the calling thread. */
export class WasmEncoder implements Encoder {
  readonly sizes: EncoderSizes;
  /** What the products compute in: f16 weights become f32 as they are loaded. */
  readonly dtype: Arithmetic;
  readonly #model: Model;
  readonly #owner: EncoderOwner;
  readonly #outputs = new ProvidedOutputs(CPU_OUTPUTS);
  readonly #heads = new Map<string, Head>();
  readonly #states = new Set<LaneState>();
  readonly #accounted = { weights: 0, activations: 0 };
  #capacity: Readonly<EncoderCapacity>;
  #loaded: Loaded | undefined;

  private constructor(
    model: Model,
    capacity: EncoderCapacity,
    network: Network,
    loader: WeightLoader,
    owner: EncoderOwner,
  ) {
    this.#model = model;
    this.#owner = owner;
    this.sizes = model.sizes.encoder;
    this.dtype = loader.arithmetic;
    this.#capacity = capacity;
    const stepper = new Stepper(this, network, this.#heads, (bytes) => {
      this.#account('activations', bytes);
    });
    this.#loaded = { network, loader, stepper };
    this.#account('weights', network.heap.kept);
  }

  /**
   * Loads the kernels and the weights.
   *
   * @throws RillError `bad-argument` for a capacity out of range, `bad-model`, `no-wasm`, `no-memory`.
   */
  static async create(model: Model, options: EncoderOptions, owner: EncoderOwner): Promise<WasmEncoder> {
    const sizes = model.sizes.encoder;
    const capacity = resolveCapacity(options, {
      streams: Infinity,
      lanes: (maxFrames) => STEP_BYTES / laneBytes(sizes, 0, maxFrames),
    });
    const arithmetic = resolveDtype(options.dtype, model.weights) === 'int8' ? 'int8' : 'f32';
    const heap = new Heap();
    const kernels = await loadKernels(heap.memory);
    const loader = new WeightLoader(heap, model.weights, arithmetic, options.onTensor);
    const weights = await loadEncoderWeights(loader, sizes);
    return new WasmEncoder(model, capacity, { kernels, heap, sizes, weights }, loader, owner);
  }

  get capacity(): Readonly<EncoderCapacity> {
    return this.#capacity;
  }

  get freeLanes(): number {
    return Math.min(this.capacity.maxLanes, this.capacity.maxStreams - this.#states.size);
  }

  canProvide(output: OutputName): boolean {
    return [ENCODER_OUT, ...CPU_OUTPUTS].some((known) => known === output);
  }

  async provide(output: HeadOutput, options: HeadOptions = {}): Promise<void> {
    const { loader, network } = this.#open();
    await this.#outputs.provide(output, options, async (known) => {
      const head = await loadHead(loader, this.#model, known, options);
      this.#open();
      this.#heads.set(known, head);
      this.#account('weights', network.heap.kept - this.#accounted.weights);
      const { maxFrames, maxLanes } = this.capacity;
      const fitting = Math.floor(STEP_BYTES / laneBytes(this.sizes, widestOf(this.#heads), maxFrames));
      this.#capacity = { ...this.#capacity, maxLanes: Math.max(1, Math.min(maxLanes, fitting)) };
    });
  }

  createState(): LaneState {
    this.#open();
    requireFreeStream(this.#states.size, this.capacity);
    const bytes = LaneState.bytes(this.sizes);
    const state = new LaneState(this, this.sizes, (closed) => {
      this.#states.delete(closed);
      this.#owner.account('states', -bytes);
    });
    this.#states.add(state);
    this.#owner.account('states', bytes);
    return state;
  }

  async step(inputs: readonly StepInput[], read: readonly string[] = [ENCODER_OUT]): Promise<StepResult[]> {
    requireInputs(inputs);
    const { results } = await this.#open().stepper.run(() => inputs, read);
    return results;
  }

  async stepLate(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    onSubmit: () => void,
  ): Promise<TimedStep> {
    return this.#open().stepper.run(prepare, read, { onSubmit });
  }

  async trace(inputs: readonly StepInput[]): Promise<TracedResult[]> {
    requireInputs(inputs);
    const stages: Float32Array<ArrayBuffer>[][] = [];
    const { results } = await this.#open().stepper.run(() => inputs, [ENCODER_OUT], {
      onStage: (gatherX) => stages.push(gatherX()),
    });
    return results.map((result, i) => ({ ...result, trace: stages.map((each) => each[i]) }));
  }

  memoryFor(more: number): number {
    const { maxStreams, maxFrames, maxLanes } = this.capacity;
    const streams = Math.min(this.#states.size + more, maxStreams);
    const lanes = Math.min(streams, maxLanes);
    const room = { lanes, frames: maxFrames, rows: lanes * maxFrames };
    return streams * LaneState.bytes(this.sizes) + workspaceBytes(this.sizes, widestOf(this.#heads), room);
  }

  dispose(): void {
    this.#loaded?.stepper.dispose();
    this.#loaded = undefined;
    this.#states.forEach((state) => {
      state.dispose();
    });
    this.#account('weights', -this.#accounted.weights);
    this.#account('activations', -this.#accounted.activations);
    this.#owner.onDispose(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @throws RillError `closed`. */
  #open(): Loaded {
    if (!this.#loaded) {
      throw encoderClosed();
    }
    return this.#loaded;
  }

  #account(part: 'weights' | 'activations', bytes: number): void {
    this.#accounted[part] += bytes;
    this.#owner.account(part, bytes);
  }
}

/** Bytes that a lane of so many frames adds to a step. */
function laneBytes(sizes: EncoderSizes, widestHead: number, frames: number): number {
  const bytes = (lanes: number) => workspaceBytes(sizes, widestHead, { lanes, frames, rows: lanes * frames });
  return bytes(2) - bytes(1);
}
