/** The benchmark's own work: steps of one stream and of many, whole batches, single kernels. */
import { encodeBatch } from '../../src/encoder/batch.ts';
import type { Encoder, StepInput } from '../../src/encoder/encoder.ts';
import { isExact } from '../../src/encoder/exactness.ts';
import { CTC_TOKENS } from '../../src/encoder/outputs.ts';
import { WEIGHT_BITS, storedDtype, type WeightDtype } from '../../src/model/dtypes.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, expectedTensors, type EncoderSizes } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import type { KernelTime } from '../../src/webgpu/device/timer.ts';
import { WebGpuEncoder } from '../../src/webgpu/encoder.ts';
import type { KernelChoice, MethodName } from '../../src/webgpu/methods.ts';
import { ableKernels, kernelsOf } from '../../src/webgpu/tuning/candidates.ts';
import { fastestKernels } from '../../src/webgpu/tuning/choice.ts';
import {
  checkedSteps,
  rehearseKernels,
  rehearsedSteps,
  type Rehearsal,
  type StepSize,
} from '../../src/webgpu/tuning/rehearsal.ts';
import { measureBandwidth } from './bandwidth.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import { startingAtOnce, withKernels } from './named-kernels.ts';
import type { JobContext } from './jobs.ts';
import { randomModel, randomSource, type RandomSizes } from './random-model.ts';
import { percentile, time, type Timing } from './statistics.ts';

/** What to measure; an empty list leaves a section out. */
export interface BenchSections {
  /** One stream, by encoder frames a step. */
  chunks: number[];
  /** Many streams, by how many go into one step. */
  streams: number[];
  /** Whole utterances, by how many go side by side. */
  batches: number[];
  /** Times of single kernels, by how many streams go into the step. */
  kernels: number[];
  /** What the methods of kernels take, as encoders for up to so many streams choose among them. */
  methods: number[];
}

export interface BenchInput extends BenchSections {
  /** A model folder's files, or the sizes of a network with random weights. */
  model: ModelFiles | RandomSizes;
  /** As the folder has it by default. */
  dtype?: WeightDtype;
  /** Of the kernels in all sections but `methods`; the fastest by default. */
  method?: MethodName;
  /** Seconds to spend on each row, at the most (two steps or one batch are always measured). */
  seconds: number;
}

/** Bytes by part. */
export type Memory = Readonly<Record<string, number>>;

export const totalBytes = (memory: Memory) => Object.values(memory).reduce((total, bytes) => total + bytes, 0);

export interface ChunkFigures extends Timing {
  chunkFrames: number;
  /** Median time over the audio of a chunk. */
  realTimeFactor: number;
  /** On a GPU. */
  dispatches?: number;
  weightBytes?: number;
  /** Weight bytes of the dispatches over the median time, in GB/s. */
  weightGBps?: number;
  memory: Memory;
}

export interface StreamFigures extends Timing {
  /** Streams in each step, {@link STREAM_CHUNK} encoder frames of each. */
  streams: number;
  /** Feature frames (10 ms) a second, of all streams. */
  inputFramesPerSecond: number;
  /** Streams that would keep up at the median time of this step; absent when it takes longer than its audio. */
  realTimeStreams?: number;
  /** Whether nine in ten steps took no longer than their audio. */
  keepsUp: boolean;
  memory: Memory;
}

export interface BatchFigures extends Timing {
  /** Utterances of {@link UTTERANCE_FRAMES} feature frames. */
  utterances: number;
  inputFramesPerSecond: number;
  /** Median time over the audio of all utterances. */
  realTimeFactor: number;
  memory: Memory;
}

export interface KernelFigures {
  /** Streams in the step, {@link STREAM_CHUNK} encoder frames of each. */
  streams: number;
  /** Medians over a few steps, the longest first. */
  kernels: KernelTime[];
}

export interface MethodFigures {
  /** `maxStreams` of the encoder. */
  streams: number;
  steps: StepSize[];
  rehearsals: Rehearsal[];
  chosen: KernelChoice;
}

/** From a model at hand to the result of a stream's first step of {@link STREAM_CHUNK} encoder frames. */
export interface LoadFigures {
  ms: number;
  /** Of it, on a GPU: until the weights were uploaded, and, side by side, until the kernels were compiled. */
  uploadMs?: number;
  compileMs?: number;
  /** The first step alone. */
  stepMs: number;
}

export interface BenchOutput {
  sizes: EncoderSizes;
  dtype: WeightDtype;
  parameters: number;
  loads: LoadFigures[];
  /** A GPU's own, in GB/s, over as many bytes as the weights take in their dtype (at most 128 MiB). */
  readGBps?: number;
  chunks: ChunkFigures[];
  streams: StreamFigures[];
  batches: BatchFigures[];
  kernels: KernelFigures[];
  methods: MethodFigures[];
  /** How the kernels of each section worked: encoders for many streams may be given others than those for one. */
  chosen: Readonly<Partial<Record<keyof BenchSections, KernelChoice>>>;
  /** Whether a stream's bytes depend neither on chunks nor on neighbours, see `isExact`. */
  exact?: boolean;
  /** Why there are no kernel times although they were asked for. */
  kernelsProblem?: string;
  /** What went wrong in a section; rows that were measured before stand. */
  problems: Readonly<Partial<Record<keyof BenchSections | 'exact', string>>>;
}

/** Audio of one encoder frame. */
export const MS_PER_FRAME = 40;
/** Encoder frames a step where streams are counted: 160 ms of audio. */
export const STREAM_CHUNK = 4;
/** Feature frames of an utterance where batches are counted: 10 s of audio. */
export const UTTERANCE_FRAMES = 1000;
const MS_PER_FEATURE_FRAME = MS_PER_FRAME / SUBSAMPLING_FACTOR;
/** Most encoder frames of an utterance in one step. */
const BATCH_MAX_FRAMES = 16;
const PROFILED_STEPS = 5;
/** Streams side by side where their bytes are compared. */
const EXACT_STREAMS = 16;

/** Log-mel features like those of speech in size. */
function randomFeatures(frames: number, { numFeatures }: EncoderSizes): Float32Array<ArrayBuffer> {
  const next = randomSource(2);
  return new Float32Array(frames * numFeatures).map(() => 4 * next() - 8);
}

class Bench {
  readonly #context: JobContext;
  readonly #input: BenchInput;
  readonly #model: Model;
  readonly #total: number;
  #done = 0;
  readonly #chosen: Partial<Record<keyof BenchSections, KernelChoice>> = {};
  readonly #problems: Partial<Record<keyof BenchSections | 'exact', string>> = {};

  constructor(context: JobContext, input: BenchInput) {
    this.#context = context;
    this.#input = input;
    this.#model = 'config.json' in input.model ? openModel(input.model) : randomModel(input.model);
    this.#total = [input.chunks, input.streams, input.batches, input.kernels, input.methods].flat().length;
  }

  async run(): Promise<BenchOutput> {
    const { chunks, streams, batches } = this.#input;
    const { sizes } = this.#model;
    const counted = [...expectedTensors({ ...sizes, transducer: undefined, hasCtc: false })];
    const parameters = counted.reduce(
      (sum, [name, shape]) => sum + (name.endsWith('.eps') ? 0 : elementCount(shape)),
      0,
    );
    const dtype = this.#input.dtype ?? storedDtype(this.#model.weights.tensors);
    // The first load is cold, the second finds its pipelines in the driver's cache.
    const loads = [await this.#load(), await this.#load()];
    const measured = {
      sizes: sizes.encoder,
      dtype,
      parameters,
      readGBps: this.#isGpu
        ? await measureBandwidth(gpuOf(this.#context.engine), (WEIGHT_BITS[dtype] / 8) * parameters)
        : undefined,
      chunks: await this.#section('chunks', 1, Math.max(...chunks), (encoder, frames) => this.#chunk(encoder, frames)),
      streams: await this.#section('streams', Math.max(...streams), STREAM_CHUNK, (encoder, count) =>
        this.#streams(encoder, count),
      ),
      batches: await this.#section('batches', Math.max(...batches), BATCH_MAX_FRAMES, (encoder, count) =>
        this.#batch(encoder, count),
      ),
    };
    const profiles = await this.#profiles();
    const methods: MethodFigures[] = [];
    await this.#guard('methods', async () => {
      for (const maxStreams of this.#input.methods) {
        methods.push(await this.#methods(maxStreams, measured.dtype));
      }
    });
    const exact = await this.#guard('exact', () =>
      this.#withEncoder(undefined, EXACT_STREAMS, STREAM_CHUNK, (encoder) => isExact(encoder)),
    );
    const [chosen, problems] = [this.#chosen, this.#problems];
    return { ...measured, ...profiles, methods, exact, chosen, problems, loads };
  }

  async #load(): Promise<LoadFigures> {
    const { dtype, method } = this.#input;
    const engine = withKernels(startingAtOnce(this.#context.engine), method && kernelsOf(method));
    const start = performance.now();
    const encoder = await engine.createEncoder(this.#model, { maxStreams: 1, maxFrames: STREAM_CHUNK, dtype });
    try {
      await encoder.provide(CTC_TOKENS);
      const stepAt = performance.now();
      const features = randomFeatures(SUBSAMPLING_FACTOR * STREAM_CHUNK + CONTEXT_FRAMES, encoder.sizes);
      await encoder.step([{ state: encoder.createState(), features }], [CTC_TOKENS]);
      const end = performance.now();
      const loading = encoder instanceof WebGpuEncoder ? encoder.loading : undefined;
      return { ms: end - start, ...loading, stepMs: end - stepAt };
    } finally {
      encoder.dispose();
    }
  }

  /** What fails in one section is told beside what the others give. */
  async #guard<T>(section: keyof BenchSections | 'exact', measure: () => Promise<T>): Promise<T | undefined> {
    try {
      return await measure();
    } catch (error) {
      this.#problems[section] = error instanceof Error ? error.message : String(error);
      return undefined;
    }
  }

  async #methods(streams: number, dtype: WeightDtype): Promise<MethodFigures> {
    const steps = rehearsedSteps(streams);
    const gpu = gpuOf(this.#context.engine);
    // Also those that an encoder would not try on such an adapter.
    const choices = ableKernels(gpu, this.#model, dtype);
    const rehearsals = await rehearseKernels(
      gpu,
      this.#model,
      dtype,
      steps,
      checkedSteps({ maxStreams: streams, maxFrames: STREAM_CHUNK }),
      choices,
    );
    this.#context.emit({ type: 'progress', done: ++this.#done, total: this.#total });
    return { streams, steps, rehearsals, chosen: fastestKernels(rehearsals) };
  }

  /** Without timestamp queries the other figures stand without these. */
  async #profiles(): Promise<Pick<BenchOutput, 'kernels' | 'kernelsProblem'>> {
    const { kernels } = this.#input;
    if (kernels.length > 0 && !this.#isGpu) {
      return { kernels: [], kernelsProblem: 'kernels are timed on a GPU only' };
    }
    if (kernels.length > 0 && !gpuOf(this.#context.engine).device.features.has('timestamp-query')) {
      return { kernels: [], kernelsProblem: 'this adapter has no timestamp queries' };
    }
    return {
      kernels: await this.#section('kernels', Math.max(...kernels), STREAM_CHUNK, (encoder, count) =>
        this.#kernels(encoder, count),
      ),
    };
  }

  async #withEncoder<T>(
    section: keyof BenchSections | undefined,
    maxStreams: number,
    maxFrames: number,
    use: (encoder: Encoder) => Promise<T>,
  ): Promise<T> {
    const { dtype, method } = this.#input;
    const kernels = method && kernelsOf(method);
    const engine = withKernels(this.#context.engine, kernels);
    const encoder = await engine.createEncoder(this.#model, { maxStreams, maxFrames, dtype });
    try {
      await encoder.provide(CTC_TOKENS);
      if (section && encoder instanceof WebGpuEncoder) {
        this.#chosen[section] = encoder.kernels;
      }
      return await use(encoder);
    } finally {
      encoder.dispose();
    }
  }

  /** One row for each of a section's numbers, all of one encoder, ascending: its memory grows with the number of streams. */
  async #section<Row>(
    section: keyof BenchSections,
    maxStreams: number,
    maxFrames: number,
    measure: (encoder: Encoder, number: number) => Promise<Row>,
  ): Promise<Row[]> {
    const numbers = this.#input[section];
    if (numbers.length === 0) {
      return [];
    }
    const rows: Row[] = [];
    await this.#guard(section, () =>
      this.#withEncoder(section, maxStreams, maxFrames, async (encoder) => {
        for (const number of [...numbers].sort((a, b) => a - b)) {
          rows.push(await measure(encoder, number));
          this.#context.emit({ type: 'progress', done: ++this.#done, total: this.#total });
        }
      }),
    );
    return rows;
  }

  get #isGpu(): boolean {
    return this.#context.engine.device.kind === 'webgpu';
  }

  get #memory(): Memory {
    return Object.fromEntries([...this.#context.engine.memory].filter(([, bytes]) => bytes > 0));
  }

  /** Streams that have had their first chunk, which is warm-up and brings the context; and each later step's input. */
  async #open(encoder: Encoder, streams: number, chunkFrames: number): Promise<StepInput[]> {
    const frames = SUBSAMPLING_FACTOR * chunkFrames;
    const first = randomFeatures(frames + CONTEXT_FRAMES, encoder.sizes);
    const states = Array.from({ length: streams }, () => encoder.createState());
    // More streams than a device's buffers have room for take several steps.
    await this.#step(
      encoder,
      states.map((state) => ({ state, features: first })),
    );
    const features = first.subarray(0, frames * encoder.sizes.numFeatures);
    return states.map((state) => ({ state, features }));
  }

  async #step(encoder: Encoder, inputs: readonly StepInput[]): Promise<void> {
    const { maxLanes } = encoder.capacity;
    const steps = Array.from({ length: Math.ceil(inputs.length / maxLanes) }, (_, i) =>
      encoder.step(inputs.slice(i * maxLanes, (i + 1) * maxLanes), [CTC_TOKENS]),
    );
    await Promise.all(steps);
  }

  async #time(encoder: Encoder, streams: number, chunkFrames: number): Promise<Timing> {
    const inputs = await this.#open(encoder, streams, chunkFrames);
    const timing = await time(() => this.#step(encoder, inputs), this.#input.seconds, 2);
    inputs.forEach(({ state }) => {
      state.dispose();
    });
    return timing;
  }

  async #chunk(encoder: Encoder, chunkFrames: number): Promise<ChunkFigures> {
    const timing = await this.#time(encoder, 1, chunkFrames);
    const cost = encoder instanceof WebGpuEncoder ? encoder.cost(chunkFrames) : undefined;
    return {
      chunkFrames,
      ...timing,
      realTimeFactor: timing.medianMs / (MS_PER_FRAME * chunkFrames),
      ...cost,
      ...(cost && { weightGBps: cost.weightBytes / timing.medianMs / 1e6 }),
      memory: this.#memory,
    };
  }

  async #streams(encoder: Encoder, streams: number): Promise<StreamFigures> {
    const timing = await this.#time(encoder, streams, STREAM_CHUNK);
    const chunkMs = STREAM_CHUNK * MS_PER_FRAME;
    const { medianMs, p90Ms } = timing;
    return {
      streams,
      keepsUp: p90Ms <= chunkMs,
      ...timing,
      inputFramesPerSecond: (1000 * streams * STREAM_CHUNK * SUBSAMPLING_FACTOR) / medianMs,
      ...(medianMs <= chunkMs && { realTimeStreams: Math.floor((streams * chunkMs) / medianMs) }),
      memory: this.#memory,
    };
  }

  async #batch(encoder: Encoder, utterances: number): Promise<BatchFigures> {
    const one = randomFeatures(UTTERANCE_FRAMES, encoder.sizes);
    const features = new Float32Array(utterances * one.length);
    for (let n = 0; n < utterances; n++) {
      features.set(one, n * one.length);
    }
    const lengths = Array<number>(utterances).fill(UTTERANCE_FRAMES);
    // A short one first: buffers grow, and kernels run for the first time.
    await encodeBatch(encoder, features, Array<number>(utterances).fill(2 * CONTEXT_FRAMES));
    const timing = await time(() => encodeBatch(encoder, features, lengths), this.#input.seconds, 1);
    const frames = utterances * UTTERANCE_FRAMES;
    return {
      utterances,
      ...timing,
      inputFramesPerSecond: (1000 * frames) / timing.medianMs,
      realTimeFactor: timing.medianMs / (frames * MS_PER_FEATURE_FRAME),
      memory: this.#memory,
    };
  }

  async #kernels(encoder: Encoder, streams: number): Promise<KernelFigures> {
    const inputs = await this.#open(encoder, streams, STREAM_CHUNK);
    const steps: KernelTime[][] = [];
    for (let i = 0; i < PROFILED_STEPS; i++) {
      if (encoder instanceof WebGpuEncoder) {
        steps.push((await encoder.profile(inputs)).kernels);
      }
    }
    inputs.forEach(({ state }) => {
      state.dispose();
    });
    const [first] = steps;
    const kernels = first.map((own, k) => {
      const times = steps.map((step) => step[k].ms);
      return { ...own, ms: percentile(times, 0.5) };
    });
    return { streams, kernels: kernels.sort((a, b) => b.ms - a.ms) };
  }
}

export async function bench(context: JobContext, input: BenchInput): Promise<BenchOutput> {
  return new Bench(context, input).run();
}
