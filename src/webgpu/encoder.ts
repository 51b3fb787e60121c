import { storageFor, type KernelChoice } from './methods.ts';
import { requireInputs, resolveDtype } from '../encoder/checks.ts';
import type {
  Encoder,
  EncoderCapacity,
  EncoderOptions,
  StepInput,
  StepResult,
  TimedStep,
  TracedResult,
} from '../encoder/encoder.ts';
import { ProvidedOutputs } from '../encoder/provided.ts';
import { ENCODER_OUT, type HeadOptions, type HeadOutput, type OutputName } from '../encoder/outputs.ts';
import type { SlotState } from './state.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import { BufferScope, type GpuContext } from './device/context.ts';
import type { KernelTime } from './device/timer.ts';
import { WEBGPU_OUTPUTS, loadHead } from './heads/heads.ts';
import { profileStep, traceStep } from './inspect.ts';
import { capacityOn, resolveKernels, type KernelOptions } from './options.ts';
import { compileEncoder, type EncoderKernels } from './plan.ts';
import { Slots } from './slots.ts';
import { Stepper } from './stepper.ts';
import { WeightLoader, loadEncoderWeights, padded, type EncoderWeights } from './weights.ts';

/** What an encoder on WebGPU can be told. */
export interface WebGpuEncoderOptions extends EncoderOptions, KernelOptions {}

/** Milliseconds from the start until the weights were uploaded, and until the kernels were compiled. */
export interface LoadingTimes {
  uploadMs: number;
  compileMs: number;
}

/**
 * The encoder on WebGPU. Hidden and cell states and the left context of every stream stay in GPU buffers, addressed by
 * slot.
 */
export class WebGpuEncoder implements Encoder {
  readonly context: GpuContext;
  /** Buffers as long-lived as the encoder: its weights, and those of its heads. */
  readonly scope: BufferScope;
  readonly model: Model;
  readonly sizes: EncoderSizes;
  readonly dtype: WeightDtype;
  /** How the kernels that read weights work. */
  readonly kernels: Readonly<KernelChoice>;
  /** What loading took: side by side. */
  readonly loading: Readonly<LoadingTimes>;
  #capacity: Readonly<EncoderCapacity>;
  readonly #outputs = new ProvidedOutputs(WEBGPU_OUTPUTS);
  readonly #slots: Slots;
  readonly #stepper: Stepper;

  private constructor(
    scope: BufferScope,
    model: Model,
    capacity: EncoderCapacity,
    choice: KernelChoice,
    kernels: EncoderKernels,
    weights: EncoderWeights,
    loading: LoadingTimes,
  ) {
    this.loading = loading;
    this.context = scope.context;
    this.scope = scope;
    this.model = model;
    this.sizes = model.sizes.encoder;
    this.dtype = weights.dtype;
    this.kernels = choice;
    this.#capacity = capacity;
    this.#slots = new Slots({ context: this.context, sizes: this.sizes, weights, kernels }, capacity);
    this.#stepper = new Stepper(this.context, this, this.#slots);
  }

  /**
   * Chooses the kernels, compiles them and uploads the weights.
   *
   * @throws RillError `bad-argument` for a capacity out of range or kernels that the device cannot run, `bad-model`,
   * `shader`.
   */
  static async create(context: GpuContext, model: Model, options: WebGpuEncoderOptions = {}): Promise<WebGpuEncoder> {
    context.check();
    await context.reportsLate();
    const sizes = model.sizes.encoder;
    const capacity = capacityOn(context, sizes, options);
    const dtype = resolveDtype(options.dtype, model.weights);
    const choice = await resolveKernels(context, model, dtype, capacity, options);
    const scope = new BufferScope(context);
    try {
      const loader = new WeightLoader(scope, model.weights, dtype, storageFor(choice), options.onTensor);
      const start = performance.now();
      // Kernels are compiled on threads of the device's own while the weights are packed on this one.
      const compiling = compileEncoder(context, sizes, dtype, choice, capacity);
      compiling.catch(() => undefined);
      const weights = await loadEncoderWeights(loader, sizes);
      const uploadMs = performance.now() - start;
      const kernels = await compiling;
      const compileMs = performance.now() - start;
      context.check();
      return new WebGpuEncoder(scope, model, capacity, choice, kernels, weights, { uploadMs, compileMs });
    } catch (error) {
      scope.dispose();
      throw error;
    }
  }

  get capacity(): Readonly<EncoderCapacity> {
    return this.#capacity;
  }

  /** What one step costs: dispatches, and bytes of weights that they read, each once per dispatch. */
  cost(frames: number, lanes = 1): { dispatches: number; weightBytes: number } {
    return this.#slots.workspace.cost(frames, lanes);
  }

  get freeLanes(): number {
    return Math.min(this.capacity.maxLanes, this.capacity.maxStreams - this.#slots.count);
  }

  canProvide(output: OutputName): boolean {
    return output === ENCODER_OUT || WEBGPU_OUTPUTS.includes(output);
  }

  async provide(output: HeadOutput, options: HeadOptions = {}): Promise<void> {
    this.#stepper.check();
    await this.#outputs.provide(output, options, async () => {
      const head = await loadHead(this, output, options);
      this.#stepper.check();
      const bound = this.#slots.attach(head);
      const { maxFrames, maxLanes } = this.capacity;
      const { widest = bound.output.width } = bound;
      const fitting = Math.max(1, Math.floor(this.context.largestBinding / (4 * maxFrames * padded(widest))));
      this.#capacity = { ...this.#capacity, maxLanes: Math.min(maxLanes, fitting) };
    });
  }

  createState(): SlotState {
    this.#stepper.check();
    return this.#slots.create(this);
  }

  memoryFor(more: number): number {
    return this.#slots.memoryFor(more);
  }

  /** @internal Resolves when it is known whether there was memory for the streams so far. */
  settled(): Promise<void> {
    return this.#slots.settled();
  }

  async step(inputs: readonly StepInput[], read: readonly string[] = [ENCODER_OUT]): Promise<StepResult[]> {
    requireInputs(inputs);
    const { results } = await this.#stepper.run(() => inputs, read);
    return results;
  }

  async stepLate(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    onSubmit: () => void,
  ): Promise<TimedStep> {
    const { results, computeMs, readbackMs } = await this.#stepper.run(prepare, read, { onSubmit });
    return { results, computeMs, readbackMs };
  }

  async trace(inputs: readonly StepInput[]): Promise<TracedResult[]> {
    return traceStep(this.#inspected, inputs);
  }

  /**
   * Like {@link step}, and also the GPU's time of each kernel. Each dispatch runs in a pass of its own, so that a
   * profiled step is slower than a plain one. Browsers round each time, Chrome to 0.1 ms: of fast kernels on a GPU they
   * tell nothing. Allocates; not for streaming.
   *
   * @throws RillError `bad-argument` when the device has no timestamp queries: they must be asked for, see
   * {@link GpuContext.create}.
   */
  async profile(inputs: readonly StepInput[]): Promise<{ results: StepResult[]; kernels: KernelTime[] }> {
    this.#stepper.check();
    return profileStep(this.#inspected, this.capacity, inputs);
  }

  dispose(): void {
    this.#stepper.dispose();
    this.#slots.dispose();
    this.scope.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  get #inspected() {
    return { context: this.context, sizes: this.sizes, slots: this.#slots, stepper: this.#stepper };
  }
}
