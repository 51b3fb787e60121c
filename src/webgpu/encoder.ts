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
import { ENCODER_OUT, type HeadOptions, type HeadOutput, type OutputName } from '../encoder/outputs.ts';
import { ProvidedOutputs } from '../encoder/provided.ts';
import { RillError } from '../errors.ts';
import type { WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import type { EncoderSizes } from '../model/sizes.ts';
import type { GpuContext } from './device/context.ts';
import type { KernelTime } from './device/timer.ts';
import { WEBGPU_OUTPUTS } from './heads/heads.ts';
import { profileStep, traceStep } from './inspect.ts';
import type { KernelChoice } from './methods.ts';
import { Network, type LoadingTimes, type NetworkSource } from './network.ts';
import type { KernelOptions } from './kernel-options.ts';
import { capacityOn, resolveKernels } from './options.ts';
import { RunningNetwork } from './running-network.ts';
import { Slots } from './slots.ts';
import type { SlotState } from './state.ts';
import { Stepper } from './stepper.ts';
import { PLAIN } from './tuning/candidates.ts';
import { chooseKernels, isPlain, type Occasion } from './tuning/choice.ts';
import { readInPauses, type Pauses } from './tuning/pauses.ts';
import { isRefusal } from './tuning/rehearsal.ts';
import { padded } from './weights.ts';

/** What an encoder on WebGPU can be told. */
export interface WebGpuEncoderOptions extends EncoderOptions, KernelOptions {}

/**
 * The encoder on WebGPU. Hidden and cell states and the left context of every stream stay in GPU buffers, addressed by
 * slot.
 */
export class WebGpuEncoder implements Encoder {
  readonly context: GpuContext;
  readonly model: Model;
  readonly sizes: EncoderSizes;
  readonly dtype: WeightDtype;
  /** What loading took before the first step: side by side. */
  readonly loading: Readonly<LoadingTimes>;
  #capacity: Readonly<EncoderCapacity>;
  readonly #outputs = new ProvidedOutputs(WEBGPU_OUTPUTS);
  readonly #slots: Slots;
  readonly #stepper: Stepper;
  readonly #running: RunningNetwork;
  readonly #end = new AbortController();
  /** Resolves when the kernels change no more. */
  #settling: Promise<void> = Promise.resolve();

  private constructor(network: Network, { context, model, capacity }: NetworkSource) {
    this.loading = network.loading;
    this.context = context;
    this.model = model;
    this.sizes = network.sizes;
    this.dtype = network.weights.dtype;
    this.#capacity = capacity;
    this.#slots = new Slots(network, capacity);
    this.#stepper = new Stepper(context, this, this.#slots);
    this.#running = new RunningNetwork(network, this.#slots);
  }

  /**
   * Compiles the kernels and uploads the weights: the fastest kernels where they are known, else those that run
   * everywhere, until others have been rehearsed.
   *
   * @throws RillError `bad-argument` for a capacity out of range or kernels that the device cannot run, `bad-model`,
   * `shader`.
   */
  static async create(context: GpuContext, model: Model, options: WebGpuEncoderOptions = {}): Promise<WebGpuEncoder> {
    context.check();
    await context.reportsLate();
    const { onTensor, kernelStore, rehearse } = options;
    const capacity = capacityOn(context, model.sizes.encoder, options);
    const dtype = resolveDtype(options.dtype, model.weights);
    const source = { context, model, dtype, capacity };
    const occasion = { ...source, kernelStore };
    const { kernels, isSettled } = await resolveKernels(occasion, options);
    const load = (choice: KernelChoice) => Network.load({ ...source, onTensor }, choice);
    const encoder = await context.idle.during(async () => {
      const network = await load(kernels).catch((error: unknown) => {
        // A choice that was kept may be of another driver.
        if (isSettled || isPlain(kernels) || !isRefusal(error)) {
          throw error;
        }
        return load(PLAIN);
      });
      try {
        context.check();
        return new WebGpuEncoder(network, source);
      } catch (error) {
        network.dispose();
        throw error;
      }
    });
    if (!isSettled) {
      encoder.#settling = encoder.#settleKernels(occasion, source);
      // Told to whoever asks.
      encoder.#settling.catch(() => undefined);
    }
    if (rehearse === 'before') {
      await encoder.settledKernels();
    }
    return encoder;
  }

  /** How the kernels that read weights work, now: they may change once, see {@link settledKernels}. */
  get kernels(): Readonly<KernelChoice> {
    return this.#running.choice;
  }

  /**
   * Resolves with the kernels when they change no more: at once on an adapter that was measured, else when the device
   * was idle for long enough to rehearse them, or the encoder has ended. Bytes do not depend on them.
   */
  async settledKernels(): Promise<Readonly<KernelChoice>> {
    await this.#settling;
    return this.kernels;
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
    return this.#outputs.canProvide(output);
  }

  async provide(output: HeadOutput, options: HeadOptions = {}): Promise<void> {
    this.#stepper.check();
    await this.#outputs.provide(output, options, async () => {
      const check = () => {
        this.#stepper.check();
      };
      const bound = await this.context.idle.during(() => this.#running.provide(output, options, check));
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
    this.#end.abort();
    this.#stepper.dispose();
    this.#slots.dispose();
    this.#running.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Rehearses kernels in idle moments, and changes over to the fastest. */
  async #settleKernels(occasion: Occasion, source: NetworkSource): Promise<void> {
    const { idle } = this.context;
    const { signal } = this.#end;
    const pauses: Pauses = {
      moment: () => idle.moment(signal),
      get begun() {
        return idle.begun;
      },
      get ended() {
        return signal.aborted;
      },
    };
    const model = readInPauses(this.model, pauses);
    const changeTo = (choice: KernelChoice) => this.#running.changeTo(choice, source, pauses);
    try {
      await idle.alone(async () => {
        await pauses.moment();
        await changeTo(await chooseKernels({ ...occasion, model }, pauses, () => changeTo(PLAIN)));
      });
    } catch (error) {
      // The encoder has ended, or goes on as it is: what is wrong with the device its steps tell.
      if (!signal.aborted && !(error instanceof RillError)) {
        throw error;
      }
    }
  }

  get #inspected() {
    return { context: this.context, sizes: this.sizes, slots: this.#slots, stepper: this.#stepper };
  }
}
