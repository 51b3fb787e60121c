import { RillError } from '../errors.ts';
import { BufferScope, type GpuContext } from '../gpu/context.ts';
import { uniformWords } from '../gpu/kernel.ts';
import * as kernels from '../gpu/kernels.generated.ts';
import { ReadbackRing } from '../gpu/readback.ts';
import { WEIGHT_DTYPES, storedDtype, type WeightDtype } from '../model/dtypes.ts';
import type { Model } from '../model/model.ts';
import type { TensorSource } from '../model/tensors.ts';
import {
  CONTEXT_FRAMES,
  MIN_FEATURE_FRAMES,
  SUBSAMPLING_FACTOR,
  encoderFrames,
  type EncoderSizes,
} from '../model/sizes.ts';
import {
  UNIFORM_STRIDE,
  createEncoderBuffers,
  createEncoderPlan,
  type Dispatch,
  type EncoderBuffers,
  type EncoderCapacity,
  type EncoderPlan,
} from './plan.ts';
import { EncoderState, type StateValues } from './state.ts';
import { WeightLoader, loadEncoderWeights, padded } from './weights.ts';

export interface EncoderOptions extends Partial<EncoderCapacity> {
  /**
   * What matrices are kept as in GPU memory; sums and states are f32 whatever it is. `auto`, the default, is what
   * the model folder has.
   */
  dtype?: WeightDtype | 'auto';
  /** Called as each tensor is uploaded, with its name. */
  progress?: (tensor: string) => void;
}

export const DEFAULT_CAPACITY: Readonly<EncoderCapacity> = { maxStreams: 16, maxFrames: 16 };
const LARGEST_CAPACITY: Readonly<EncoderCapacity> = { maxStreams: 1024, maxFrames: 128 };
/** Steps that can be under way before one has been read back. */
const STEPS_IN_FLIGHT = 3;

/** A GPU result of a step: `rows` of (lanes * frames) and `width` elements, padded to vec4. */
export interface StepOutput {
  name: string;
  buffer: GPUBuffer;
  width: number;
}

/** A head on top of the encoder: dispatches that run in the same step, and what they leave behind. */
export interface EncoderHead {
  /** Once for all frames. */
  readonly dispatches: readonly Dispatch[];
  /** After those, for one frame after the other; a dynamic uniform gets (layer 0, frame). */
  readonly perFrame?: readonly Dispatch[];
  readonly output: StepOutput;
  /** Called when the stream in a slot starts afresh. */
  reset?(slot: number): void;
}

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
  /** Milliseconds from the submit until the GPU is done, or until the results are there where that is told first. */
  computeMs: number;
  /** Milliseconds from then until the results are there. */
  readbackMs: number;
}

export interface EncodeOptions {
  /** Encoder frames of each utterance in one step; as many as the encoder was made for by default. */
  chunkFrames?: number;
  /** States to start each utterance from; zero by default. */
  states?: readonly StateValues[];
  /** Called after each step with the encoder frames done and their total. */
  progress?: (done: number, total: number) => void;
}

/** A batch of whole utterances, padded. */
export interface EncodedBatch {
  /** (utterances, frames, d_model), zero beyond an utterance's length. */
  encoderOut: Float32Array<ArrayBuffer>;
  /** Encoder frames of each utterance. */
  lengths: number[];
  /** Frames of the longest utterance. */
  frames: number;
  /** Final states of each utterance. */
  states: StateValues[];
}

/** The encoder's own output, in {@link StepResult.outputs}. */
export const ENCODER_OUT = 'encoder_out';

/**
 * The RNN encoder of icefall's `lstm_transducer_stateless` (lstm.py, class RNN) on the GPU, for many streams at
 * once. Hidden and cell states and the left context of every stream stay in GPU buffers, addressed by slot.
 *
 * A step is one command buffer, one submit and one readback, and creates nothing. The output bytes of a stream
 * do not depend on the chunk size, on its slot or on the other streams of a step.
 */
export class RnnEncoder {
  readonly context: GpuContext;
  /** The encoder's buffers, and those of its heads. */
  readonly buffers: BufferScope;
  readonly sizes: EncoderSizes;
  /** What the matrices are in GPU memory. */
  readonly dtype: WeightDtype;
  readonly capacity: Readonly<EncoderCapacity>;
  /** Where the last layer's output lies on the GPU, for heads; `step` is the uniform block of the step. */
  readonly output: StepOutput;
  readonly #plan: EncoderPlan;
  readonly #buffers: EncoderBuffers;
  readonly #freeSlots: number[];
  readonly #states = new Set<EncoderState>();
  readonly #heads: EncoderHead[] = [];
  /** Staging for what a step uploads. */
  readonly #features: Float32Array<ArrayBuffer>;
  readonly #lanes: Uint32Array<ArrayBuffer>;
  #ring: ReadbackRing;
  #disposed = false;

  private constructor(
    scope: BufferScope,
    sizes: EncoderSizes,
    dtype: WeightDtype,
    capacity: EncoderCapacity,
    plan: EncoderPlan,
    buffers: EncoderBuffers,
  ) {
    this.context = scope.context;
    this.buffers = scope;
    this.sizes = sizes;
    this.dtype = dtype;
    this.capacity = capacity;
    this.#plan = plan;
    this.#buffers = buffers;
    this.output = { name: ENCODER_OUT, buffer: buffers.x, width: sizes.dModel };
    this.#freeSlots = Array.from({ length: capacity.maxStreams }, (_, slot) => slot).reverse();
    this.#features = new Float32Array(buffers.features.size / 4);
    this.#lanes = new Uint32Array(buffers.lanes.size / 4);
    this.#ring = this.#createRing();
    this.#writeAtTable();
  }

  /**
   * Uploads the weights and compiles the kernels.
   *
   * @throws RillError `bad-argument` for a capacity out of range, `bad-model`, `shader`.
   */
  static async create(context: GpuContext, model: Model, options: EncoderOptions = {}): Promise<RnnEncoder> {
    context.check();
    const capacity: EncoderCapacity = {
      maxStreams: options.maxStreams ?? DEFAULT_CAPACITY.maxStreams,
      maxFrames: options.maxFrames ?? DEFAULT_CAPACITY.maxFrames,
    };
    for (const key of ['maxStreams', 'maxFrames'] as const) {
      if (!Number.isInteger(capacity[key]) || capacity[key] < 1 || capacity[key] > LARGEST_CAPACITY[key]) {
        throw new RillError('bad-argument', {
          got: `${key}: ${capacity[key]}`,
          expected: `a whole number from 1 to ${LARGEST_CAPACITY[key]}`,
          remedy: 'Choose how many streams run at a time, and how many 40 ms frames of each in one step.',
        });
      }
    }
    const sizes = model.sizes.encoder;
    const dtype = chooseDtype(options.dtype, model.weights);
    const scope = new BufferScope(context);
    try {
      const loader = new WeightLoader(scope, model.weights, dtype, options.progress);
      const weights = await loadEncoderWeights(loader, sizes);
      const buffers = createEncoderBuffers(scope, sizes, capacity);
      const plan = await createEncoderPlan(context, sizes, weights, buffers);
      context.check();
      return new RnnEncoder(scope, sizes, dtype, capacity, plan, buffers);
    } catch (error) {
      scope.dispose();
      throw error;
    }
  }

  /** What a head's kernels bind beside their own: the step's size, and who is in it. */
  get shared(): Pick<EncoderBuffers, 'step' | 'laneStep' | 'at' | 'lanes'> {
    return this.#buffers;
  }

  /** What one step costs: dispatches, and bytes of weights that they read, each once per dispatch. */
  cost(frames: number): { dispatches: number; weightBytes: number } {
    const { embed, layers } = this.#plan;
    const once = [
      ...embed,
      ...layers.flatMap(({ before, after }) => [...before, ...after]),
      ...this.#heads.flatMap((head) => head.dispatches),
    ];
    const perFrame = [
      ...layers.flatMap((layer) => layer.perFrame),
      ...this.#heads.flatMap((head) => head.perFrame ?? []),
    ];
    const bytes = (dispatches: readonly Dispatch[]) =>
      dispatches.reduce((sum, { weight }) => sum + (weight?.size ?? 0), 0);
    return {
      dispatches: once.length + frames * perFrame.length,
      weightBytes: bytes(once) + frames * bytes(perFrame),
    };
  }

  /** Adds a head: from now on its dispatches run at the end of every step. */
  attach(head: EncoderHead): void {
    this.#heads.push(head);
    this.#states.forEach(({ slot }) => head.reset?.(slot));
    this.#ring.dispose();
    this.#ring = this.#createRing();
  }

  /**
   * A slot for a new stream, its states zero.
   *
   * @throws RillError `bad-argument` when all slots are taken.
   */
  createState(): EncoderState {
    this.#check();
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      throw new RillError('bad-argument', {
        got: `stream number ${this.capacity.maxStreams + 1}`,
        expected: `at most ${this.capacity.maxStreams} at a time`,
        remedy: 'Close a stream, or create the encoder with a larger maxStreams.',
      });
    }
    const state: EncoderState = new EncoderState(this.context, this.sizes, this.#buffers, slot, {
      reset: () => this.#heads.forEach((head) => head.reset?.(slot)),
      release: () => {
        this.#states.delete(state);
        this.#freeSlots.push(slot);
      },
    });
    this.#states.add(state);
    state.reset();
    return state;
  }

  /**
   * Advances one or more streams by one chunk each, ragged lengths included.
   *
   * @param inputs at most `capacity.maxStreams`, each stream once
   * @param read names of the outputs to read back
   * @returns one result for each input, in order
   * @throws RillError `bad-argument` (nothing has changed then), `closed`, `device-lost`, `gpu`.
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
   * called right before the step is submitted; when it has nothing, nothing happens.
   */
  async stepLate(prepare: () => readonly StepInput[], read: readonly string[]): Promise<TimedStep> {
    const { results, computeMs, readbackMs } = await this.#run(prepare, read);
    return { results, computeMs, readbackMs };
  }

  /**
   * Encodes whole utterances, as many side by side as there are free slots.
   *
   * @param features (utterances, feature frames, num_features), padded
   * @param lengths feature frames of each utterance, at least 9
   * @throws RillError `bad-argument`, `device-lost`, `gpu`.
   */
  async encode(features: Float32Array, lengths: readonly number[], options: EncodeOptions = {}): Promise<EncodedBatch> {
    const { dModel } = this.sizes;
    // The lengths may come from a file: they are checked before anything is made after them.
    this.#checkBatch(features, lengths, options.chunkFrames ?? this.capacity.maxFrames);
    const frames = lengths.map(encoderFrames);
    const longest = frames.reduce((longest, count) => Math.max(longest, count), 0);
    const encoderOut = new Float32Array(lengths.length * longest * dModel);
    const states = await this.encodeChunks(features, lengths, options, [ENCODER_OUT], (utterance, at, { outputs }) => {
      encoderOut.set(outputs[ENCODER_OUT], (utterance * longest + at) * dModel);
    });
    return { encoderOut, lengths: frames, frames: longest, states };
  }

  /**
   * Runs whole utterances like {@link encode} and hands over what each step gives.
   *
   * @param read names of the outputs to read back
   * @param onResult called with the utterance, the encoder frame that a chunk starts with, and its result
   * @returns the final states of each utterance
   */
  async encodeChunks(
    features: Float32Array,
    lengths: readonly number[],
    { chunkFrames = this.capacity.maxFrames, states: initial, progress }: EncodeOptions,
    read: readonly string[],
    onResult: (utterance: number, at: number, result: StepResult) => void,
  ): Promise<StateValues[]> {
    this.#check();
    const { numFeatures } = this.sizes;
    const stride = this.#checkBatch(features, lengths, chunkFrames);
    const frames = lengths.map(encoderFrames);
    const total = frames.reduce((sum, count) => sum + count, 0);
    const states: StateValues[] = [];
    let done = 0;
    if (initial && initial.length !== lengths.length) {
      throw new RillError('bad-argument', {
        got: `states of ${initial.length} utterances`,
        expected: `${lengths.length}, one for each`,
        remedy: 'Give each utterance its states, or none.',
      });
    }
    const group = Math.max(1, this.#freeSlots.length);
    for (let first = 0; first < lengths.length; first += group) {
      const members: { utterance: number; count: number; state: EncoderState }[] = [];
      try {
        for (const [i, count] of frames.slice(first, first + group).entries()) {
          members.push({ utterance: first + i, count, state: this.createState() });
        }
        if (initial) {
          members.forEach(({ utterance, state }) => state.write(initial[utterance]));
        }
        const end = Math.max(...members.map(({ count }) => count));
        for (let at = 0; at < end; at += chunkFrames) {
          const active = members.filter(({ count }) => at < count);
          const inputs = active.map(({ utterance, count, state }) => {
            // The first chunk brings the left context; later chunks continue behind it.
            const start = utterance * stride + SUBSAMPLING_FACTOR * at + (at === 0 ? 0 : CONTEXT_FRAMES);
            const last = Math.min(at + chunkFrames, count);
            const stop = utterance * stride + SUBSAMPLING_FACTOR * last + CONTEXT_FRAMES;
            return { state, features: features.subarray(start * numFeatures, stop * numFeatures) };
          });
          const results = await this.step(inputs, read);
          results.forEach((result, i) => {
            onResult(active[i].utterance, at, result);
            done += result.frames;
          });
          progress?.(done, total);
        }
        for (const { state } of members) {
          states.push(await state.read());
        }
      } finally {
        members.forEach(({ state }) => state.dispose());
      }
    }
    return states;
  }

  /**
   * Like {@link step}, and also the output of the embedding and of every layer: for comparisons with PyTorch.
   * Allocates; not for streaming.
   *
   * @returns for each input its result, and `trace` with (frames, d_model) for the embedding and each layer
   */
  async trace(inputs: readonly StepInput[]): Promise<(StepResult & { trace: Float32Array<ArrayBuffer>[] })[]> {
    const { context, sizes, capacity } = this;
    const stages = 1 + sizes.numEncoderLayers;
    const bytes = 4 * capacity.maxStreams * capacity.maxFrames * padded(sizes.dModel);
    const scope = new BufferScope(context);
    const buffer = scope.createStorage('trace', 'trace', stages * bytes);
    const ring = new ReadbackRing(context, stages * bytes, 1);
    try {
      const { results, lanes, frames } = await this.#run(() => inputs, [ENCODER_OUT], buffer);
      const stageBytes = 4 * lanes * frames * padded(sizes.dModel);
      const copy = await ring.acquire();
      const encoder = context.device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, copy, 0, stages * stageBytes);
      context.device.queue.submit([encoder.finish()]);
      const values = await ring.read(copy, stages * stageBytes);
      return results.map((result, lane) => ({
        ...result,
        trace: Array.from({ length: stages }, (_, stage) =>
          unpad(values, stage * (stageBytes / 4) + lane * frames * padded(sizes.dModel), result.frames, sizes.dModel),
        ),
      }));
    } finally {
      scope.dispose();
      ring.dispose();
    }
  }

  /** Ends the encoder and frees its GPU memory; its streams can no longer be used. */
  dispose(): void {
    this.#disposed = true;
    this.#ring.dispose();
    this.buffers.dispose();
    this.#states.forEach((state) => state.dispose());
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #run(prepare: () => readonly StepInput[], read: readonly string[], trace?: GPUBuffer) {
    this.#check();
    const outputs = this.#findOutputs(read);
    const ring = this.#ring;
    const readback = await ring.acquire();
    // From here to the submit nothing is awaited: what is checked is what runs.
    let submitted = false;
    try {
      this.#check();
      const inputs = prepare();
      if (inputs.length === 0) {
        ring.release(readback);
        return { results: [], lanes: 0, frames: 0, computeMs: 0, readbackMs: 0 };
      }
      const counts = inputs.map((input) => this.#checkInput(input));
      this.#checkTogether(inputs);
      const lanes = inputs.length;
      const frames = Math.max(...counts);
      const fresh = inputs.map(({ state }) => state.advance());
      this.#upload(inputs, counts, fresh, frames);
      const encoder = this.context.device.createCommandEncoder();
      this.#record(encoder, lanes, frames, trace);
      let bytes = 0;
      for (const { buffer, width } of outputs) {
        const size = 4 * lanes * frames * padded(width);
        encoder.copyBufferToBuffer(buffer, 0, readback, bytes, size);
        bytes += size;
      }
      this.context.device.queue.submit([encoder.finish()]);
      submitted = true;
      const submittedAt = performance.now();
      let doneAt = Infinity;
      this.context.device.queue.onSubmittedWorkDone().then(
        () => (doneAt = performance.now()),
        // A lost device is told by the readback.
        () => undefined,
      );
      const values = await ring.read(readback, bytes);
      const readAt = performance.now();
      const computeMs = Math.min(doneAt, readAt) - submittedAt;
      const results = counts.map((count, lane): StepResult => {
        let start = 0;
        const named = outputs.map(({ name, width }) => {
          const output = unpad(values, start + lane * frames * padded(width), count, width);
          start += lanes * frames * padded(width);
          return [name, output] as const;
        });
        return { frames: count, outputs: Object.fromEntries(named) };
      });
      return { results, lanes, frames, computeMs, readbackMs: readAt - submittedAt - computeMs };
    } catch (error) {
      if (!submitted) {
        ring.release(readback);
      }
      throw error instanceof RillError ? error : await this.context.explain(error);
    }
  }

  #findOutputs(read: readonly string[]): StepOutput[] {
    const known = [this.output, ...this.#heads.map((head) => head.output)];
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

  /** One pass over the plan; with `trace` also a copy of x after the embedding and after each layer. */
  #record(encoder: GPUCommandEncoder, lanes: number, frames: number, trace: GPUBuffer | undefined): void {
    const { maxFrames } = this.capacity;
    let pass = encoder.beginComputePass();
    const run = (dispatches: readonly Dispatch[], offset?: number) => {
      for (const { kernel, workgroups } of dispatches) {
        kernel.dispatch(pass, workgroups(lanes, frames), offset);
      }
    };
    const bytes = 4 * lanes * frames * padded(this.sizes.dModel);
    const keep = (stage: number) => {
      if (trace) {
        pass.end();
        encoder.copyBufferToBuffer(this.#buffers.x, 0, trace, stage * bytes, bytes);
        pass = encoder.beginComputePass();
      }
    };
    run(this.#plan.embed);
    keep(0);
    for (const [l, layer] of this.#plan.layers.entries()) {
      run(layer.before);
      for (let t = 0; t < frames; t++) {
        run(layer.perFrame, (l * maxFrames + t) * UNIFORM_STRIDE);
      }
      run(layer.after);
      keep(l + 1);
    }
    for (const { dispatches, perFrame = [] } of this.#heads) {
      run(dispatches);
      for (let t = 0; t < frames; t++) {
        run(perFrame, t * UNIFORM_STRIDE);
      }
    }
    pass.end();
  }

  #upload(inputs: readonly StepInput[], counts: readonly number[], fresh: readonly boolean[], frames: number): void {
    const { queue } = this.context.device;
    const { numFeatures } = this.sizes;
    const contextSize = CONTEXT_FRAMES * numFeatures;
    const laneSize = SUBSAMPLING_FACTOR * frames * numFeatures;
    inputs.forEach(({ state, features }, lane) => {
      const start = fresh[lane] ? contextSize : 0;
      if (fresh[lane]) {
        const context = features.slice(0, contextSize);
        queue.writeBuffer(this.#buffers.context, 4 * state.slot * contextSize, context);
      }
      this.#features.set(features.subarray(start), lane * laneSize);
      this.#lanes.set([state.slot, counts[lane]], 2 * lane);
    });
    queue.writeBuffer(this.#buffers.features, 0, this.#features, 0, inputs.length * laneSize);
    queue.writeBuffer(this.#buffers.lanes, 0, this.#lanes, 0, 2 * inputs.length);
    const step = uniformWords(kernels.lstmCell.bindings.step, { lanes: inputs.length, frames });
    queue.writeBuffer(this.#buffers.step, 0, step);
    step.set(uniformWords(kernels.lstmCell.bindings.step, { lanes: inputs.length, frames: 1 }));
    queue.writeBuffer(this.#buffers.laneStep, 0, step);
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
    return frames;
  }

  #checkTogether(inputs: readonly StepInput[]): void {
    const distinct = new Set(inputs.map(({ state }) => state)).size;
    if (distinct < inputs.length || inputs.some(({ state }) => !state.belongsTo(this.#buffers))) {
      throw new RillError('bad-argument', {
        got: `${inputs.length} inputs for ${distinct} streams`,
        expected: 'each stream of this encoder once',
        remedy: 'Give each stream one chunk per step.',
      });
    }
  }

  /** Feature frames that each utterance of a padded batch takes up. */
  #checkBatch(features: Float32Array, lengths: readonly number[], chunkFrames: number): number {
    const { numFeatures } = this.sizes;
    const stride = features.length / numFeatures / lengths.length;
    if (lengths.length === 0 || !Number.isInteger(stride)) {
      throw new RillError('bad-argument', {
        got: `${features.length} feature values for ${lengths.length} utterances`,
        expected: `(utterances, frames, ${numFeatures}) values`,
        remedy: `Check that the features have ${numFeatures} mel bins and are padded to one length.`,
      });
    }
    for (const [i, length] of lengths.entries()) {
      if (!Number.isInteger(length) || length < MIN_FEATURE_FRAMES || length > stride) {
        throw new RillError('bad-argument', {
          got: `a length of ${length} feature frames for utterance ${i}`,
          expected: `${MIN_FEATURE_FRAMES} to ${stride}`,
          remedy: 'One encoder frame sees 9 feature frames (90 ms); a length counts frames of the padded array.',
        });
      }
    }
    if (!Number.isInteger(chunkFrames) || chunkFrames < 1 || chunkFrames > this.capacity.maxFrames) {
      throw new RillError('bad-argument', {
        got: `chunks of ${chunkFrames} frames`,
        expected: `1 to ${this.capacity.maxFrames}`,
        remedy: 'Choose how many 40 ms frames run in one step, or create the encoder with a larger maxFrames.',
      });
    }
    return stride;
  }

  #check(): void {
    if (this.#disposed) {
      throw new RillError('closed', {
        got: 'an encoder that was disposed of',
        expected: 'an open one',
        remedy: 'Create a new encoder.',
      });
    }
    this.context.check();
  }

  #createRing(): ReadbackRing {
    const { maxStreams, maxFrames } = this.capacity;
    const widths = [this.output, ...this.#heads.map((head) => head.output)].map(({ width }) => padded(width));
    const width = widths.reduce((sum, each) => sum + each, 0);
    return new ReadbackRing(this.context, 4 * maxStreams * maxFrames * width, STEPS_IN_FLIGHT);
  }

  /** The (layer, frame) blocks that the recurrent kernels are bound to, one after the other. */
  #writeAtTable(): void {
    const { maxFrames } = this.capacity;
    const table = new Uint32Array(this.#buffers.at.size / 4);
    for (let layer = 0; layer < this.sizes.numEncoderLayers; layer++) {
      for (let frame = 0; frame < maxFrames; frame++) {
        const block = uniformWords(kernels.lstmCell.bindings.at, { layer, frame });
        table.set(block, (layer * maxFrames + frame) * (UNIFORM_STRIDE / 4));
      }
    }
    this.context.device.queue.writeBuffer(this.#buffers.at, 0, table);
  }
}

function chooseDtype(dtype: WeightDtype | 'auto' = 'auto', { tensors }: TensorSource): WeightDtype {
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

/** `rows` of `width` elements out of rows padded to vec4. */
function unpad(values: Float32Array, start: number, rows: number, width: number): Float32Array<ArrayBuffer> {
  const stride = padded(width);
  const output = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    output.set(values.subarray(start + row * stride, start + row * stride + width), row * width);
  }
  return output;
}
