/** Training steps, timed: whole, by parts and by kernels; and one layer alone. In Node or in a page. */
import { encoderFrames, type EncoderSizes } from '../../src/model/sizes.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { activationBytes } from '../../src/training/activations.ts';
import type { TrainingBatch } from '../../src/training/batch.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { gpuOf } from '../../src/gpu-of.ts';
import type { JobContext } from '../runtime/jobs.ts';
import { randomModel, randomSource, type RandomSizes } from '../runtime/random-model.ts';
import { time, timingOf, type Timing } from '../runtime/statistics.ts';
import { layerProblem } from './layer-problem.ts';
import { rillLayer } from './layer-rill.ts';
import { profileStep, type PhaseTime } from './profile.ts';
import type { MicroBatch, Workload } from './workloads.ts';

export interface TrainBenchInput {
  /** A model folder's files, or the sizes of a network with random weights. */
  model: ModelFiles | RandomSizes;
  /** A step of the network; without it one layer alone is measured. */
  workload?: Workload;
  /** Seconds to spend, at the most; two steps are always measured. */
  seconds: number;
  /** Whether kernels are timed. */
  kernels: boolean;
}

export interface TrainFigures {
  name: string;
  sizes: EncoderSizes;
  /** Elements that are trained. */
  trained: number;
  /** From an open device to the end of the first step: loading, compiling, and the step. */
  coldMs: number;
  /** A whole step, its losses read back. */
  step: Timing;
  stepsPerSecond: number;
  audioSecondsPerSecond?: number;
  /** Of the same: forwards with the losses alone, and all but the optimizer. */
  forward: Timing;
  gradients?: Timing;
  /** GPU memory by part, and what activations were planned to take. */
  memory: Readonly<Record<string, number>>;
  plannedBytes?: number;
  /** Where the device has timestamp queries. */
  kernels?: PhaseTime[];
}

const FRAMES_PER_SECOND = 100;
const LEARNING_RATE = 1e-5;
const LABELS = 8;

const framesOf = ({ seconds }: MicroBatch) => Math.round(FRAMES_PER_SECOND * seconds);

/** Noise, with a few tokens to say. */
function madeUp(batch: MicroBatch, { encoder, vocabSize = 0 }: Model['sizes'], from?: number): TrainingBatch {
  const next = randomSource(7);
  const { utterances } = batch;
  const len = framesOf(batch);
  const made = (count: number, scale: number, mean: number) =>
    Float32Array.from({ length: count }, () => scale * next() + mean);
  const targets = Array.from({ length: utterances }, (_, n) =>
    Array.from({ length: LABELS }, (_, u) => 1 + ((3 * n + 5 * u) % (vocabSize - 1))),
  );
  const input =
    from === undefined
      ? { features: made(utterances * len * encoder.numFeatures, 4, -8) }
      : { hidden: made(utterances * encoderFrames(len) * encoder.dModel, 1, 0) };
  return { ...input, lens: new Array<number>(utterances).fill(len), targets };
}

/** A step, or a layer's. */
export async function trainBench(context: JobContext, input: TrainBenchInput): Promise<TrainFigures> {
  return input.workload ? network(context, input, input.workload) : layer(context, input);
}

const memoryOf = (memory: ReadonlyMap<string, number>) =>
  Object.fromEntries([...memory].filter(([, bytes]) => bytes > 0));

async function layer({ engine }: JobContext, { seconds }: TrainBenchInput): Promise<TrainFigures> {
  const gpu = gpuOf(engine);
  const problem = layerProblem();
  const start = performance.now();
  const contender = await rillLayer(gpu)(problem);
  await contender.step();
  const coldMs = performance.now() - start;
  await contender.forward();
  const forward = await time(contender.forward, seconds / 2, 2);
  const step = await time(contender.step, seconds / 2, 2);
  const memory = memoryOf(gpu.memory);
  contender.dispose();
  const { encoder: sizes } = problem.model.sizes;
  return { name: 'layer', sizes, trained: 0, coldMs, step, stepsPerSecond: 1000 / step.medianMs, forward, memory };
}

async function network(
  { engine, emit }: JobContext,
  { model: given, seconds, kernels }: TrainBenchInput,
  { name, batches, from, trainable }: Workload,
): Promise<TrainFigures> {
  const gpu = gpuOf(engine);
  const model = 'dModel' in given ? randomModel(given) : openModel(given);
  const micro = batches.map((batch) => madeUp(batch, model.sizes, from));
  const frames = batches.map((batch) => encoderFrames(framesOf(batch)));
  const capacity = {
    utterances: Math.max(...batches.map(({ utterances }) => utterances)),
    frames: Math.max(...frames),
    rows: Math.max(...batches.map(({ utterances }, i) => utterances * frames[i])),
    labels: LABELS,
  };
  const start = performance.now();
  const training = await TrainingNetwork.create(gpu, model, capacity, { trainable, from });
  const optimizer = await Optimizer.create(gpu, training.parameters);
  const take = (encoder: GPUCommandEncoder) => {
    optimizer.step(encoder, LEARNING_RATE);
  };
  const run = async (isTrained: boolean, isTaken: boolean) => {
    for (const [i, batch] of micro.entries()) {
      const then = isTaken && i + 1 === micro.length ? take : undefined;
      training.submit(batch, { reduction: 'sum' }, { isFirst: isTrained && i === 0, isTrained, then });
    }
    await training.losses();
  };
  try {
    await run(true, true);
    const coldMs = performance.now() - start;
    // In turns, so that what else the machine does hits all alike.
    const times: Record<'forward' | 'gradients' | 'step', number[]> = { forward: [], gradients: [], step: [] };
    const timed = async (which: keyof typeof times, isTrained: boolean, isTaken: boolean) => {
      const begun = performance.now();
      await run(isTrained, isTaken);
      times[which].push(performance.now() - begun);
    };
    const end = performance.now() + 1000 * seconds;
    while (times.step.length < 2 || performance.now() < end) {
      await timed('forward', false, false);
      await timed('gradients', true, false);
      await timed('step', true, true);
      emit({ type: 'progress', done: times.step.length });
    }
    const step = timingOf(times.step);
    const audio = batches.reduce((sum, batch) => sum + batch.utterances * batch.seconds, 0);
    const hasTimes = kernels && gpu.device.features.has('timestamp-query');
    return {
      name,
      sizes: model.sizes.encoder,
      trained: training.parameters.trained.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      coldMs,
      step,
      stepsPerSecond: 1000 / step.medianMs,
      audioSecondsPerSecond: (1000 * audio) / step.medianMs,
      forward: timingOf(times.forward),
      gradients: timingOf(times.gradients),
      memory: memoryOf(gpu.memory),
      plannedBytes: activationBytes(model.sizes.encoder, capacity, {
        ...{ from, lowest: from ?? -1, recompute: false, hasDropout: false, combined: 0 },
      }),
      ...(hasTimes && {
        kernels: await profileStep(gpu, () => {
          training.submit(micro[0], { reduction: 'sum' }, { isFirst: true, then: take });
        }),
      }),
    };
  } finally {
    optimizer.dispose();
    training.dispose();
  }
}
