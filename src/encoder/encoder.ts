import { RillError } from '../errors.ts';
import { BufferScope, type GpuContext } from '../gpu/context.ts';
import { Pace } from '../gpu/pace.ts';
import { ReadbackRing, readBuffers, type ReadbackPlace } from '../gpu/readback.ts';
import { DispatchTimer, type KernelTime } from '../gpu/timer.ts';
import { WEIGHT_DTYPES, storedDtype, type WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, type EncoderSizes } from '../model/sizes.ts';
import type { TensorSource } from '../model/tensors.ts';
import { encodeBatch, requireFiniteFeatures, type BatchOptions, type EncodedBatch } from './batch.ts';
import type { KernelStore } from '../gpu/kernel-store.ts';
import { bytesPerLane, bytesPerSlot, compileEncoder, type EncoderCapacity, type EncoderKernels } from './plan.ts';
import { CONV_METHODS, ableMethods, storageFor, type KernelChoice } from './matrices.ts';
import { isExact } from './self-test.ts';
import { EncoderState } from './state.ts';
import { measuredKernels } from './measured.ts';
import { chooseKernels } from './tuning.ts';
import { WeightLoader, loadEncoderWeights, padded, restride, type EncoderWeights } from './weights.ts';
import { ENCODER_OUT, Workspace, type EncoderHead, type StepOutput, type StepWatch } from './workspace.ts';

export interface EncoderOptions extends Partial<EncoderCapacity> {
  /**
   * What matrices are kept as in GPU memory; states and sums are f32 whatever it is.
   * `auto`, the default, is what the model folder has.
   */
  dtype?: WeightDtype | 'auto';
  /**
   * How the kernels that read weights work; the results are the same to the byte. `auto`, the default, is the fastest on
   * this adapter, measured when a model of these sizes is loaded for the first time.
   */
  kernels?: KernelChoice | 'auto';
  /**
   * Where the choice of kernels is kept from one start to the next; where the context keeps it by default, which is
   * browsers' cache storage, and in Node, after `openGpu()`, the user's cache folder.
   */
  kernelStore?: KernelStore;
  /** Called as each tensor is uploaded, with its name. */
  onTensor?: (tensor: string) => void;
}

const DEFAULT_CAPACITY = { maxStreams: 16, maxFrames: 16 };
const LARGEST_CAPACITY = { maxStreams: 4096, maxFrames: 128 };
/** Streams that there is room for at the start; doubled when more come. */
const FIRST_SLOTS = 4;
/** Steps that can be under way before one has been read back. */
const STEPS_IN_FLIGHT = 3;

/** What one stream brings to a step. */
export interface StepInput {
  state: EncoderState;
  /**
   * Log-mel features, (4n, num_features) for n encoder frames; the first chunk of a stream brings the 5 frames
   * of left context as well: (4n + 5, num_features).
   */
  features: Float32Array;
}

/** What one stream gets from a step, (frames, width) each, by name: `encoder_out`, and those of the heads. */
export interface StepResult {
  frames: number;
  outputs: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
}

/** A step's results and what they took. */
export interface TimedStep {
  results: StepResult[];
  /** Milliseconds from the submit until the GPU is done, or until the results are there, if those come first. */
  computeMs: number;
  /** Milliseconds from then until the results are there. */
  readbackMs: number;
}

/** A step that is on the GPU. */
interface SubmittedStep {
  lanes: number;
  /** Of the longest lane, and of each. */
  frames: number;
  counts: readonly number[];
  /** That are read back. */
  bytes: number;
  /** That the device had reported before. */
  failures: number;
  /** When it was submitted. */
  at: number;
}

/**
 * The RNN encoder of icefall's `lstm_transducer_stateless` (lstm.py, class RNN) on the GPU, for many streams at
 * once. Hidden and cell states and the left context of every stream stay in GPU buffers, addressed by slot.
 *
 * A step is one command buffer, one submit and one readback, and creates nothing. The output bytes of a stream
 * do not depend on the chunk size, on its slot or on the other streams of a step.
 */
export class RnnEncoder {
  readonly context: GpuContext;
  /** Buffers as long-lived as the encoder: its weights, and those of its heads. */
  readonly scope: BufferScope;
  readonly sizes: EncoderSizes;
  /** What the matrices are in GPU memory. */
  readonly dtype: WeightDtype;
  /** How the kernels that read weights work. */
  readonly kernels: Readonly<KernelChoice>;
  readonly #compiled: EncoderKernels;
  readonly #weights: EncoderWeights;
  readonly #heads: EncoderHead[] = [];
  #capacity: Readonly<EncoderCapacity>;
  readonly #ring: ReadbackRing;
  readonly #pace = new Pace();
  readonly #states = new Set<EncoderState>();
  readonly #freeSlots: number[] = [];
  #workspace: Workspace;
  /** The next, larger workspace while it is not known whether there was memory for it, and the writes that wait for it. */
  #coming: { workspace: Workspace; changes: (() => void)[] } | undefined;
  /** Resolves when that is known. */
  #growth: Promise<void> | undefined;
  /** When the last step that came back was done on the GPU. */
  #doneAt = 0;
  #disposed = false;

  private constructor(
    scope: BufferScope,
    sizes: EncoderSizes,
    capacity: EncoderCapacity,
    choice: KernelChoice,
    kernels: EncoderKernels,
    weights: EncoderWeights,
  ) {
    this.context = scope.context;
    this.scope = scope;
    this.sizes = sizes;
    this.dtype = weights.dtype;
    this.kernels = choice;
    this.#capacity = capacity;
    this.#compiled = kernels;
    this.#weights = weights;
    this.#ring = new ReadbackRing(this.context, STEPS_IN_FLIGHT);
    this.#workspace = this.#createWorkspace(Math.min(FIRST_SLOTS, capacity.maxStreams));
  }

  /**
   * Chooses the kernels, compiles them and uploads the weights.
   *
   * @throws RillError `bad-argument` for a capacity out of range or kernels that the device cannot run, `bad-model`,
   * `shader`.
   */
  static async create(context: GpuContext, model: Model, options: EncoderOptions = {}): Promise<RnnEncoder> {
    context.check();
    await context.reportsLate();
    const sizes = model.sizes.encoder;
    const capacity = resolveCapacity(context, sizes, options);
    const dtype = resolveDtype(options.dtype, model.weights);
    const choice = await resolveKernels(context, model, dtype, capacity, options);
    const scope = new BufferScope(context);
    try {
      const loader = new WeightLoader(scope, model.weights, dtype, storageFor(choice), options.onTensor);
      const weights = await loadEncoderWeights(loader, sizes);
      const kernels = await compileEncoder(context, sizes, dtype, choice, capacity);
      context.check();
      return new RnnEncoder(scope, sizes, capacity, choice, kernels, weights);
    } catch (error) {
      scope.dispose();
      throw error;
    }
  }

  /** What it is made for; a head with a wide output can lower the lanes of a step. */
  get capacity(): Readonly<EncoderCapacity> {
    return this.#capacity;
  }

  /** What one step costs: dispatches, and bytes of weights that they read, each once per dispatch. */
  cost(frames: number, lanes = 1): { dispatches: number; weightBytes: number } {
    return this.#workspace.cost(frames, lanes);
  }

  /**
   * Adds a head: from now on its dispatches run at the end of every step.
   *
   * @throws RillError `closed`.
   */
  attach(head: EncoderHead): void {
    this.#check();
    const bound = this.#workspace.attach(head);
    this.#coming?.workspace.attach(head);
    this.#heads.push(head);
    const { maxFrames, maxLanes } = this.capacity;
    const { widest = bound.output.width } = bound;
    const fitting = Math.max(1, Math.floor(this.context.largestBinding / (4 * maxFrames * padded(widest))));
    this.#capacity = { ...this.#capacity, maxLanes: Math.min(maxLanes, fitting) };
    // Those without a slot in the workspace yet are reset when they get it.
    [...this.#states]
      .filter(({ slot }) => slot < this.#workspace.room.slots)
      .forEach(({ slot }) => bound.reset?.(slot));
  }

  /** Streams that could join the next step: lanes, or slots where those are fewer. */
  get freeLanes(): number {
    return Math.min(this.capacity.maxLanes, this.capacity.maxStreams - this.#states.size);
  }

  /**
   * A slot for a new stream, its states zero. When there is no room left it is doubled, up to the capacity; the
   * other streams keep their slots and bytes. If it turns out that there is no GPU memory for that, the others go on
   * as before, and the new stream's first use says so.
   *
   * @throws RillError `busy` when all slots are taken.
   */
  createState(): EncoderState {
    this.#check();
    const { maxStreams } = this.capacity;
    if (this.#states.size >= maxStreams) {
      throw new RillError('busy', {
        got: `stream number ${maxStreams + 1} of this model`,
        expected: `at most ${maxStreams} at a time (maxStreams)`,
        remedy: 'End a stream that is no longer needed, or load the model with a larger maxStreams.',
      });
    }
    if (this.#freeSlots.length === 0) {
      this.#grow();
    }
    const slot = this.#freeSlots.pop() ?? 0;
    const inRoom = () => slot < this.#workspace.room.slots;
    const whenInRoom = (act: () => void) => {
      if (inRoom()) {
        act();
      } else {
        this.#coming?.changes.push(act);
      }
    };
    const state: EncoderState = new EncoderState(this.context, this.sizes, slot, this, {
      arena: () => this.#workspace.buffers,
      roomComing: () => (inRoom() ? undefined : this.#growth),
      change: (write) => {
        whenInRoom(() => {
          write(this.#workspace.buffers);
        });
      },
      reset: () => {
        whenInRoom(() => {
          this.#workspace.reset(slot);
        });
      },
      release: () => {
        this.#states.delete(state);
        if (slot < (this.#coming?.workspace ?? this.#workspace).room.slots) {
          this.#freeSlots.push(slot);
        }
      },
    });
    this.#states.add(state);
    state.reset();
    return state;
  }

  /**
   * @internal Bytes that states and activations take at most with so many streams more: room is doubled until they
   * have it.
   */
  memoryFor(more: number): number {
    const { bytes, room } = this.#workspace;
    const needed = Math.min(this.#states.size + more, this.capacity.maxStreams);
    let { slots } = room;
    while (slots < needed) {
      slots = this.#doubled(slots);
    }
    return (bytes * slots) / room.slots;
  }

  #doubled(slots: number): number {
    return Math.min(2 * slots, this.capacity.maxStreams);
  }

  /** @internal Resolves when it is known whether there was memory for the streams so far. */
  async settled(): Promise<void> {
    while (this.#growth) {
      await this.#growth;
    }
  }

  /**
   * Makes a workspace twice as large. Running out of memory is told later than it happens: until then the one before
   * stays in place, steps wait, and what concerns new slots is put off.
   */
  #grow(): void {
    const { device } = this.context;
    const earlier = this.#coming;
    const { slots: taken } = (earlier?.workspace ?? this.#workspace).room;
    device.pushErrorScope('validation');
    device.pushErrorScope('out-of-memory');
    let workspace: Workspace;
    let errors: Promise<(GPUError | null)[]>;
    try {
      workspace = this.#createWorkspace(this.#doubled(taken), taken);
    } finally {
      // A device that was lost has no errors to tell, and no use for an answer.
      errors = Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => []);
    }
    earlier?.workspace.dispose();
    this.#coming = { workspace, changes: earlier?.changes ?? [] };
    const growth: Promise<void> = errors.then((each) => {
      this.#endGrowth(
        workspace,
        each.find((error) => error !== null),
      );
      if (this.#growth === growth) {
        this.#growth = undefined;
      }
    });
    this.#growth = growth;
  }

  #endGrowth(grown: Workspace, error: GPUError | null | undefined): void {
    if (this.#coming?.workspace !== grown) {
      // A still larger one has taken its place, or the encoder has ended.
      return;
    }
    const { changes } = this.#coming;
    this.#coming = undefined;
    const before = this.#workspace;
    if (!error) {
      grown.copyStates(before);
      before.dispose();
      this.#workspace = grown;
      changes.forEach((change) => {
        change();
      });
      return;
    }
    grown.dispose();
    const { slots } = before.room;
    this.#freeSlots.splice(0, Infinity, ...this.#freeSlots.filter((slot) => slot < slots));
    const failure = new RillError('gpu', {
      got: `no GPU memory for more than ${slots} streams (${error.message.split('\n')[0]})`,
      expected: 'room for another',
      remedy: 'Close a stream first, or create the encoder with a smaller maxFrames.',
    });
    [...this.#states]
      .filter(({ slot }) => slot >= slots)
      .forEach((state) => {
        state.fail(failure);
      });
  }

  /**
   * Advances one or more streams by one chunk each, ragged lengths included. Steps run in the order of their calls;
   * with more than three under way, or right after the encoder has grown, a step waits, and takes features and states
   * as they are then.
   *
   * @param inputs at most `capacity.maxLanes`, each stream once
   * @param read names of the outputs to read back
   * @returns one result for each input, in order
   * @throws RillError `bad-argument`, also for features that are not finite (nothing has changed then), `closed`, `device-lost`, `gpu`.
   */
  async step(inputs: readonly StepInput[], read: readonly string[] = [ENCODER_OUT]): Promise<StepResult[]> {
    if (inputs.length === 0) {
      throw new RillError('bad-argument', {
        got: 'a step without inputs',
        expected: 'at least one stream’s chunk',
        remedy: 'Call step when a stream has features.',
      });
    }
    const { results } = await this.#run(() => inputs, read);
    return results;
  }

  /**
   * @internal Like {@link step}, for inputs that may change while an earlier step is under way: `prepare` is
   * called right before the step is submitted, `onSubmit` right after; when there is nothing, nothing happens.
   */
  async stepLate(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    onSubmit: () => void,
  ): Promise<TimedStep> {
    const { results, computeMs, readbackMs } = await this.#run(prepare, read, { onSubmit });
    return { results, computeMs, readbackMs };
  }

  /**
   * Encodes whole utterances, as many side by side as there are lanes.
   *
   * @param features (utterances, feature frames, num_features), padded
   * @param lengths feature frames of each utterance, at least 9
   * @throws RillError `bad-argument`, also for features and states that are not finite (nothing has changed then),
   * `busy` without a free slot, `device-lost`, `gpu`.
   */
  encode(features: Float32Array, lengths: readonly number[], options: BatchOptions = {}): Promise<EncodedBatch> {
    return encodeBatch(this, features, lengths, options);
  }

  /**
   * Like {@link step}, and also the output of the embedding and of every layer: for comparisons with PyTorch.
   * Allocates; not for streaming.
   *
   * @returns for each input its result, and `trace` with (frames, d_model) for the embedding and each layer
   */
  async trace(inputs: readonly StepInput[]): Promise<(StepResult & { trace: Float32Array<ArrayBuffer>[] })[]> {
    const { context, sizes } = this;
    const stages = 1 + sizes.numEncoderLayers;
    await this.settled();
    const { lanes: roomLanes, frames: roomFrames } = this.#workspace.room;
    const scope = new BufferScope(context);
    try {
      const stride = padded(sizes.dModel);
      const room = 4 * roomLanes * roomFrames * stride;
      const buffer = scope.createStorage('trace', 'trace', stages * room);
      const { results, lanes, frames } = await this.#run(() => inputs, [ENCODER_OUT], { trace: buffer });
      const stageSize = lanes * frames * stride;
      const values = await readBuffers(context, [{ buffer, bytes: 4 * stages * stageSize }]);
      return results.map((result, lane) => ({
        ...result,
        trace: Array.from({ length: stages }, (_, stage) =>
          restride(
            values.subarray(stage * stageSize + lane * frames * stride),
            result.frames,
            sizes.dModel,
            stride,
            sizes.dModel,
          ),
        ),
      }));
    } finally {
      scope.dispose();
    }
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
    this.#check();
    const { maxFrames, maxLanes } = this.capacity;
    // Short steps of one stream can take more than long ones of many, which do not go in waves.
    const most = Array.from({ length: maxFrames }, (_, f) =>
      Math.max(this.cost(f + 1).dispatches, this.cost(f + 1, maxLanes).dispatches),
    );
    const timer = new DispatchTimer(this.context, Math.max(...most));
    try {
      const { results } = await this.#run(() => inputs, [ENCODER_OUT], { timer });
      return { results, kernels: await timer.read() };
    } finally {
      timer.dispose();
    }
  }

  /**
   * Whether a stream's bytes depend neither on its chunks nor on its neighbours on this device, as they should:
   * {@link isExact} says how it is found out. Takes free slots for the time of the test.
   *
   * @throws RillError `busy` without a free slot, `closed`, `device-lost`, `gpu`.
   */
  isExact(): Promise<boolean> {
    return isExact(this);
  }

  /** Ends the encoder and frees its GPU memory; its streams can no longer be used. */
  dispose(): void {
    this.#disposed = true;
    this.#ring.dispose();
    this.#workspace.dispose();
    this.#coming?.workspace.dispose();
    this.#coming = undefined;
    this.scope.dispose();
    this.#states.forEach((state) => state.dispose());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** A step from its inputs to its results, in a place of the ring. */
  async #run(
    prepare: () => readonly StepInput[],
    read: readonly string[],
    { onSubmit, ...watch }: StepWatch & { onSubmit?: () => void } = {},
  ) {
    this.#check();
    // With a free place nothing is awaited before the submit.
    const acquired = this.#ring.acquire();
    const place = acquired instanceof Promise ? await acquired : acquired;
    try {
      if (this.#growth) {
        await this.settled();
      }
      // From here to the submit nothing is awaited: what is checked is what runs.
      this.#check();
      const outputs = this.#findOutputs(read);
      const inputs = prepare();
      if (inputs.length === 0) {
        return { results: [], lanes: 0, frames: 0, computeMs: 0, readbackMs: 0 };
      }
      const step = this.#submit(inputs, outputs, place, watch);
      onSubmit?.();
      const { values, computeMs, readbackMs } = await this.#await(step, place);
      const { lanes, frames } = step;
      return { results: resultsOf(values, step, outputs), lanes, frames, computeMs, readbackMs };
    } catch (error) {
      if (this.#disposed) {
        this.#check();
      }
      throw await this.context.explain(error);
    } finally {
      this.#ring.release(place);
    }
  }

  /** Checks, uploads, records and submits a step, with the copy of its outputs into a place of the ring. */
  #submit(
    inputs: readonly StepInput[],
    outputs: readonly StepOutput[],
    place: ReadbackPlace,
    watch: StepWatch,
  ): SubmittedStep {
    const counts = inputs.map((input) => this.#checkInput(input));
    this.#checkTogether(inputs);
    const lanes = inputs.length;
    const frames = Math.max(...counts);
    const sizes = outputs.map(({ width }) => 4 * lanes * frames * padded(width));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const readback = this.#ring.reserve(place, bytes);
    const laneInputs = inputs.map(({ state, features }, lane) => {
      return { slot: state.slot, frames: counts[lane], fresh: !state.started, features };
    });
    const { device, failures } = this.context;
    this.#workspace.upload(laneInputs, frames);
    const encoder = device.createCommandEncoder();
    this.#workspace.record(encoder, lanes, frames, watch);
    outputs.reduce((at, { buffer }, i) => {
      encoder.copyBufferToBuffer(buffer, 0, readback, at, sizes[i]);
      return at + sizes[i];
    }, 0);
    device.queue.submit([encoder.finish()]);
    inputs.forEach(({ state }) => {
      state.advance();
    });
    return { lanes, frames, counts, bytes, failures, at: performance.now() };
  }

  /** Waits for a step and reads its outputs back, with the milliseconds that each took. */
  async #await(
    { lanes, frames, bytes, failures, at }: SubmittedStep,
    place: ReadbackPlace,
  ): Promise<{ values: Float32Array; computeMs: number; readbackMs: number }> {
    if (this.context.polls) {
      await this.#pace.untilDue(lanes, frames);
      // With the encoder its buffers go: mapping one of them then would be an error of the whole device.
      this.#check();
    }
    const pausedUntil = performance.now();
    let doneAt = Infinity;
    this.context.device.queue.onSubmittedWorkDone().then(
      () => (doneAt = performance.now()),
      // A lost device is told by the readback.
      () => undefined,
    );
    const values = await this.#ring.read(place, bytes, failures);
    const readAt = performance.now();
    // The time that a step waited for the one before is not its own.
    const startedAt = Math.max(at, Math.min(this.#doneAt, readAt));
    this.#doneAt = Math.max(startedAt, Math.min(doneAt, readAt));
    const computeMs = this.#doneAt - startedAt;
    this.#pace.learn(lanes, frames, computeMs, this.#doneAt - pausedUntil);
    return { values, computeMs, readbackMs: Math.max(0, readAt - this.#doneAt) };
  }

  #findOutputs(read: readonly string[]): StepOutput[] {
    const known = this.#workspace.outputs;
    return read.map((wanted) => {
      const output = known.find(({ name }) => name === wanted);
      if (!output) {
        throw new RillError('bad-argument', {
          got: `the output ${JSON.stringify(wanted)}`,
          expected: known.map(({ name }) => name).join(' or '),
          remedy: 'Attach the head that gives it first.',
        });
      }
      return output;
    });
  }

  /** Encoder frames that an input brings. */
  #checkInput({ state, features }: StepInput): number {
    state.check();
    if (!(features instanceof Float32Array)) {
      throw new RillError('bad-argument', {
        got: `features in ${Object.prototype.toString.call(features)}`,
        expected: 'a Float32Array',
        remedy: 'Convert them with Float32Array.from.',
      });
    }
    const { numFeatures } = this.sizes;
    const rows = features.length / numFeatures;
    const frames = (rows - (state.started ? 0 : CONTEXT_FRAMES)) / SUBSAMPLING_FACTOR;
    if (!Number.isInteger(frames) || frames < 1 || frames > this.capacity.maxFrames) {
      const form = state.started ? '4n' : '4n + 5';
      throw new RillError('bad-argument', {
        got: `${features.length} feature values, ${rows} frames of ${numFeatures}, for a ${state.started ? 'running' : 'new'} stream`,
        expected: `${form} frames of ${numFeatures} mel bins, n from 1 to ${this.capacity.maxFrames}`,
        remedy: 'Pass whole chunks; the first one of a stream brings 5 frames of context more.',
      });
    }
    requireFiniteFeatures('a stream', features, numFeatures);
    return frames;
  }

  #checkTogether(inputs: readonly StepInput[]): void {
    const { maxLanes } = this.capacity;
    if (inputs.length > maxLanes) {
      throw new RillError('bad-argument', {
        got: `${inputs.length} streams in one step`,
        expected: `at most ${maxLanes}`,
        remedy: 'Advance them in several steps, or create the encoder with a larger maxLanes.',
      });
    }
    const distinct = new Set(inputs.map(({ state }) => state)).size;
    if (distinct < inputs.length || inputs.some(({ state }) => state.encoder !== this)) {
      throw new RillError('bad-argument', {
        got: `${inputs.length} inputs for ${distinct} streams`,
        expected: 'each stream of this encoder once',
        remedy: 'Give each stream one chunk per step.',
      });
    }
  }

  #check(): void {
    if (this.#disposed) {
      throw new RillError('closed', {
        got: 'a recognizer, keyword spotter or encoder that was disposed of',
        expected: 'an open one',
        remedy: 'Create a new one, or dispose of it later.',
      });
    }
    this.context.check();
  }

  /** @param taken slots that are in use already: the others become free */
  #createWorkspace(slots: number, taken = 0): Workspace {
    const { maxFrames, maxLanes } = this.capacity;
    const room = { slots, lanes: Math.min(slots, maxLanes), frames: maxFrames };
    const workspace = new Workspace(this.context, this.sizes, this.#weights, this.#compiled, this.#heads, room);
    for (let slot = slots - 1; slot >= taken; slot--) {
      this.#freeSlots.push(slot);
    }
    return workspace;
  }
}

/** Fills in defaults; lanes are by default as many as the device's largest buffer allows. */
function resolveCapacity(
  context: GpuContext,
  sizes: EncoderSizes,
  { maxStreams = DEFAULT_CAPACITY.maxStreams, maxFrames = DEFAULT_CAPACITY.maxFrames, maxLanes }: EncoderOptions,
): EncoderCapacity {
  const check = (capacity: Readonly<Record<string, number>>, largest: number) => {
    for (const [key, value] of Object.entries(capacity)) {
      if (!Number.isInteger(value) || value < 1 || value > largest) {
        throw new RillError('bad-argument', {
          got: `${key}: ${value}`,
          expected: `a whole number from 1 to ${largest}`,
          remedy: 'Choose how many streams run at a time, and how many 40 ms frames of each in one step.',
        });
      }
    }
  };
  const largest = context.largestBinding;
  const statesFitting = Math.floor(largest / bytesPerSlot(sizes));
  check({ maxStreams }, Math.min(LARGEST_CAPACITY.maxStreams, statesFitting));
  check({ maxFrames }, LARGEST_CAPACITY.maxFrames);
  // A row of workgroups covers four rows at the least where there are so many.
  const mostRows = 4 * context.device.limits.maxComputeWorkgroupsPerDimension;
  const fitting = Math.max(1, Math.floor(Math.min(largest / bytesPerLane(sizes, maxFrames), mostRows / maxFrames)));
  check({ maxLanes: maxLanes ?? fitting }, maxLanes === undefined ? Infinity : fitting);
  return { maxStreams, maxFrames, maxLanes: Math.min(maxLanes ?? fitting, maxStreams) };
}

function resolveDtype(dtype: WeightDtype | 'auto' = 'auto', { tensors }: TensorSource): WeightDtype {
  if (dtype === 'auto') {
    return storedDtype(tensors);
  }
  if (!WEIGHT_DTYPES.includes(dtype)) {
    throw new RillError('bad-argument', {
      got: `dtype: ${JSON.stringify(dtype)}`,
      expected: `auto, ${WEIGHT_DTYPES.join(', ')}`,
      remedy: 'Leave it out to take the weights as the model folder has them.',
    });
  }
  return dtype;
}

async function resolveKernels(
  context: GpuContext,
  model: Model,
  dtype: WeightDtype,
  capacity: EncoderCapacity,
  { kernels: wanted = 'auto', kernelStore }: EncoderOptions,
): Promise<KernelChoice> {
  const able = ableMethods(context, model.sizes, dtype);
  if (wanted === 'auto') {
    const measured = measuredKernels(context.adapter, dtype);
    return measured && able.includes(measured.matrices)
      ? measured
      : chooseKernels(context, model, dtype, capacity, kernelStore);
  }
  const { convolutions, matrices } = wanted;
  if (!able.includes(matrices) || !able.includes(convolutions) || !CONV_METHODS.includes(convolutions)) {
    throw new RillError('bad-argument', {
      got: `kernels: ${JSON.stringify(wanted)}`,
      expected: `auto, or { convolutions: ${CONV_METHODS.join(' or ')}, matrices } of ${able.join(', ')}, for this model on this device`,
      remedy: 'Leave it out to take the fastest.',
    });
  }
  return wanted;
}

/** What each stream gets of a step's outputs, which lie one behind the other, padded to lanes of as many frames. */
function resultsOf(
  values: Float32Array,
  { lanes, frames, counts }: SubmittedStep,
  outputs: readonly StepOutput[],
): StepResult[] {
  return counts.map((count, lane): StepResult => {
    let start = 0;
    const named = outputs.map(({ name, width }) => {
      const stride = padded(width);
      const output = restride(values.subarray(start + lane * frames * stride), count, width, stride, width);
      start += lanes * frames * stride;
      return [name, output] as const;
    });
    return { frames: count, outputs: Object.fromEntries(named) };
  });
}
