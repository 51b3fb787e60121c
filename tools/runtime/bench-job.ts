/** The benchmark's own work: steps of one stream at several chunk sizes beside the adapter's read bandwidth. */
import { RnnEncoder } from '../../src/encoder/encoder.ts';
import { BufferScope, type GpuContext } from '../../src/gpu/context.ts';
import { Kernel } from '../../src/gpu/kernel.ts';
import * as kernels from '../../src/gpu/kernels.generated.ts';
import { CTC_LOG_PROBS, CtcHead } from '../../src/head/ctc.ts';
import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { CONTEXT_FRAMES, SUBSAMPLING_FACTOR, expectedTensors, type EncoderSizes } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import type { JobContext } from './jobs.ts';
import { percentile } from './statistics.ts';

/** Sizes of a network to make up. */
export type RandomSizes = Pick<EncoderSizes, 'dModel' | 'rnnHiddenSize' | 'dimFeedforward' | 'numEncoderLayers'>;

export interface BenchInput {
  /** A model folder's files, or the sizes of a network with random weights. */
  model: ModelFiles | RandomSizes;
  /** Encoder frames a step to measure. */
  chunkFrames: number[];
  /** Seconds to spend on each, at the most (two steps are always measured). */
  seconds: number;
}

export interface ChunkFigures {
  chunkFrames: number;
  steps: number;
  medianMs: number;
  p95Ms: number;
  /** Median time over the audio of a chunk. */
  realTimeFactor: number;
  dispatches: number;
  weightBytes: number;
  /** Weight bytes of the dispatches over the median time, in GB/s. */
  weightGBps: number;
}

export interface BenchOutput {
  sizes: EncoderSizes;
  parameters: number;
  loadMs: number;
  /** The adapter's own, in GB/s, over a buffer as large as the weights (at most 128 MiB). */
  readGBps: number;
  chunks: ChunkFigures[];
  /** Bytes of GPU buffers by part. */
  memory: Record<string, number>;
}

/** Audio of one encoder frame. */
export const MS_PER_FRAME = 40;
const BANDWIDTH_THREADS = 4096;
const BANDWIDTH_REPEATS = 5;

/** Deterministic numbers in [-1, 1): a benchmark should not depend on luck. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** A network of these sizes whose weights are made as they are read, small enough for values to stay finite. */
export function randomModel(random: RandomSizes, vocabSize = 500): Model {
  const encoder: EncoderSizes = {
    ...random,
    numFeatures: FBANK_DEFAULTS.numMelBins,
    channels: [8, 32, 128],
    hasProjection: random.rnnHiddenSize !== random.dModel,
  };
  const sizes = { encoder, vocabSize, hasCtc: true };
  const next = randomSource(1);
  const tensors = new Map([...expectedTensors(sizes)].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
  return {
    sizes,
    config: { blankId: 0, features: FBANK_DEFAULTS },
    weights: {
      tensors,
      async read(name) {
        const shape = tensors.get(name)?.shape ?? [];
        const scale = 1 / Math.sqrt(elementCount(shape.slice(1)));
        return new Float32Array(elementCount(shape)).map(() => scale * next());
      },
    },
  };
}

async function measureBandwidth(gpu: GpuContext, bytes: number): Promise<number> {
  const unit = 4 * BANDWIDTH_THREADS * 16;
  const size = Math.max(unit, Math.floor(Math.min(bytes, gpu.device.limits.maxStorageBufferBindingSize) / unit) * unit);
  const scope = new BufferScope(gpu);
  try {
    const kernel = await Kernel.create(gpu, kernels.readBandwidth, { threads: BANDWIDTH_THREADS });
    const bound = kernel.bind({
      values: scope.createStorage('bench', 'values', size),
      sums: scope.createStorage('bench', 'sums', 16 * BANDWIDTH_THREADS),
    });
    let best = Infinity;
    for (let i = 0; i < BANDWIDTH_REPEATS; i++) {
      const encoder = gpu.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      bound.dispatch(pass, [BANDWIDTH_THREADS / kernel.source.workgroupSize[0], 1, 1]);
      pass.end();
      gpu.device.queue.submit([encoder.finish()]);
      const start = performance.now();
      await gpu.device.queue.onSubmittedWorkDone();
      best = Math.min(best, performance.now() - start);
    }
    return size / best / 1e6;
  } finally {
    scope.dispose();
  }
}

async function measureChunk(encoder: RnnEncoder, chunkFrames: number, seconds: number): Promise<ChunkFigures> {
  const next = randomSource(2);
  const features = (frames: number) => new Float32Array(frames * encoder.sizes.numFeatures).map(() => 4 * next() - 8);
  const state = encoder.createState();
  // The first step is warm-up; it also brings the context.
  await encoder.step(
    [{ state, features: features(SUBSAMPLING_FACTOR * chunkFrames + CONTEXT_FRAMES) }],
    [CTC_LOG_PROBS],
  );
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < 2 || (performance.now() < end && times.length < 500)) {
    const chunk = features(SUBSAMPLING_FACTOR * chunkFrames);
    const start = performance.now();
    await encoder.step([{ state, features: chunk }], [CTC_LOG_PROBS]);
    times.push(performance.now() - start);
  }
  state.dispose();
  const medianMs = percentile(times, 0.5);
  const cost = encoder.cost(chunkFrames);
  return {
    chunkFrames,
    steps: times.length,
    medianMs,
    p95Ms: percentile(times, 0.95),
    realTimeFactor: medianMs / (MS_PER_FRAME * chunkFrames),
    ...cost,
    weightGBps: cost.weightBytes / medianMs / 1e6,
  };
}

export async function bench(
  { gpu, emit }: JobContext,
  { model: source, chunkFrames, seconds }: BenchInput,
): Promise<BenchOutput> {
  const model = 'config.json' in source ? openModel(source) : randomModel(source);
  const counted = [...expectedTensors({ ...model.sizes, transducer: undefined, hasCtc: false })];
  const parameters = counted.reduce((sum, [name, shape]) => sum + (name.endsWith('.eps') ? 0 : elementCount(shape)), 0);
  const start = performance.now();
  const encoder = await RnnEncoder.create(gpu, model, { maxStreams: 1, maxFrames: Math.max(...chunkFrames) });
  try {
    await CtcHead.attach(encoder, model);
    const loadMs = performance.now() - start;
    const readGBps = await measureBandwidth(gpu, 4 * parameters);
    const chunks: ChunkFigures[] = [];
    for (const frames of chunkFrames) {
      chunks.push(await measureChunk(encoder, frames, seconds));
      emit({ type: 'progress', done: chunks.length, total: chunkFrames.length });
    }
    return { sizes: encoder.sizes, parameters, loadMs, readGBps, chunks, memory: Object.fromEntries(gpu.memory) };
  } finally {
    encoder.dispose();
  }
}
