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
import { Crew } from './crew.ts';
import { CPU_OUTPUTS, loadHead, widthsOf, type Head } from './heads.ts';
import { compileKernels, instantiate } from './kernels.ts';
import { Heap } from './memory.ts';
import { LaneState } from './state.ts';
import type { Network } from './step.ts';
import { Stepper, threadsFor } from './stepper.ts';
import type { Threads } from './threads.ts';
import { Turns } from './turns.ts';
import { WeightLoader, loadEncoderWeights, type Arithmetic } from './weights.ts';
import { workspaceBytes, type HeadWidths } from './workspace.ts';

/** What a step's arrays may take: beyond it more lanes of it bring nothing. */
const STEP_BYTES = 64 << 20;

/** What an open encoder has, and gives up when it ends: with it goes the memory. */
interface Loaded {
  heap: Heap;
  loader: WeightLoader;
  stepper: Stepper;
}

/** What an encoder is made of. */
interface Parts {
  network: Network;
  heap: Heap;
  turns: Turns;
  loader: WeightLoader;
  crew?: Crew;
}

/** Whom an encoder tells what it takes, and its end. */
export interface EncoderOwner {
  account(part: MemoryPart, bytes: number): void;
  onDispose(encoder: WasmEncoder): void;
}

/** The encoder on the CPU: WebAssembly, in the calling thread and, where that was asked for, in others beside it. */
export class WasmEncoder implements Encoder {
  readonly sizes: EncoderSizes;
  /** What the products compute in: f16 weights become f32 as they are loaded. */
  readonly dtype: Arithmetic;
  readonly #model: Model;
  readonly #owner: EncoderOwner;
  readonly #turns: Turns;
  readonly #threads: number;
  readonly #outputs = new ProvidedOutputs(CPU_OUTPUTS);
  readonly #heads = new Map<string, Head>();
  readonly #states = new Set<LaneState>();
  readonly #accounted = { weights: 0, activations: 0 };
  #capacity: Readonly<EncoderCapacity>;
  #loaded: Loaded | undefined;

  private constructor(model: Model, capacity: EncoderCapacity, parts: Parts, owner: EncoderOwner) {
    const { network, heap, turns, loader, crew } = parts;
    this.#model = model;
    this.#owner = owner;
    this.#turns = turns;
    this.#threads = 1 + (crew?.size ?? 0);
    this.sizes = model.sizes.encoder;
    this.dtype = loader.arithmetic;
    this.#capacity = capacity;
    const stepper = new Stepper(this, { network, heap, turns, heads: this.#heads, crew }, (bytes) => {
      this.#account('activations', bytes);
    });
    this.#loaded = { heap, loader, stepper };
    this.#account('weights', heap.kept);
  }

  /**
   * Loads the kernels and the weights, and starts threads, where there can be streams for them.
   *
   * @param threads the calling one only, by default
   * @throws RillError `bad-argument` for a capacity out of range, `bad-model`, `no-wasm`, `no-memory`, `worker`.
   */
  static async create(
    model: Model,
    options: EncoderOptions,
    owner: EncoderOwner,
    threads?: Threads,
  ): Promise<WasmEncoder> {
    const sizes = model.sizes.encoder;
    const capacity = resolveCapacity(options, {
      streams: Infinity,
      lanes: (maxFrames) => STEP_BYTES / laneBytes(sizes, {}, maxFrames),
    });
    const arithmetic = resolveDtype(options.dtype, model.weights) === 'int8' ? 'int8' : 'f32';
    const count = threadsFor(capacity.maxLanes, threads?.count ?? 1);
    const shared = count > 1;
    const heap = new Heap({ shared });
    const module = await compileKernels({ shared });
    const turns = new Turns();
    const loader = new WeightLoader(heap, turns, model.weights, arithmetic, options.onTensor);
    // They start while weights are read.
    const crew = threads && shared ? new Crew({ ...threads, count }) : undefined;
    try {
      const weights = await loadEncoderWeights(loader, sizes);
      const network = { kernels: await instantiate(module, heap.memory), sizes, weights, weightBytes: heap.kept };
      await crew?.setUp({ module, memory: heap.memory, sizes, weights, weightBytes: heap.kept });
      return new WasmEncoder(model, capacity, { network, heap, turns, loader, crew }, owner);
    } catch (error) {
      crew?.dispose();
      throw error;
    }
  }

  get capacity(): Readonly<EncoderCapacity> {
    return this.#capacity;
  }

  get freeLanes(): number {
    return Math.min(this.capacity.maxLanes, this.capacity.maxStreams - this.#states.size);
  }

  canProvide(output: OutputName): boolean {
    return this.#outputs.canProvide(output);
  }

  async provide(output: HeadOutput, options: HeadOptions = {}): Promise<void> {
    const { loader, heap } = this.#open();
    await this.#outputs.provide(output, options, async (known) => {
      const head = await loadHead(loader, this.#model, known, options);
      this.#open();
      this.#heads.set(known, head);
      this.#account('weights', heap.kept - this.#accounted.weights);
      const { maxFrames, maxLanes } = this.capacity;
      const fitting = Math.floor(STEP_BYTES / laneBytes(this.sizes, widthsOf(this.#heads), maxFrames));
      this.#capacity = { ...this.#capacity, maxLanes: Math.max(1, Math.min(maxLanes, fitting)) };
    });
  }

  createState(): LaneState {
    this.#open();
    requireFreeStream(this.#states.size, this.capacity);
    const bytes = LaneState.bytes(this.sizes);
    const state = new LaneState(this, this.sizes, this.#turns, (closed) => {
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
    const threads = threadsFor(Math.min(streams, maxLanes), this.#threads);
    const lanes = Math.ceil(Math.min(streams, maxLanes) / threads);
    const room = { lanes, frames: maxFrames, rows: lanes * maxFrames };
    return streams * LaneState.bytes(this.sizes) + threads * workspaceBytes(this.sizes, widthsOf(this.#heads), room);
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
function laneBytes(sizes: EncoderSizes, heads: HeadWidths, frames: number): number {
  const bytes = (lanes: number) => workspaceBytes(sizes, heads, { lanes, frames, rows: lanes * frames });
  return bytes(2) - bytes(1);
}
