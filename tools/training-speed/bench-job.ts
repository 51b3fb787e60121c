/** Training steps, timed: whole, by parts and by kernels; and one layer alone. In Node or in a page. */
import { encoderFrames, type EncoderSizes } from '../../src/model/sizes.ts';
import { elementCount } from '../../src/model/tensors.ts';
import { openModel, type Model, type ModelFiles } from '../../src/model/model.ts';
import { activationBytes } from '../../src/training/activations.ts';
import type { HiddenBatch, TrainingBatch } from '../../src/training/batch.ts';
import { TrainingNetwork } from '../../src/training/network.ts';
import type { Capacity } from '../../src/training/operations.ts';
import { Optimizer } from '../../src/training/optimizer.ts';
import { isTrained } from '../../src/training/parameters.ts';
import { CpuLearner } from '../../src/training/teach/cpu-learner.ts';
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
  /** Whether the CPU trains, as lessons do without a GPU. */
  onCpu?: boolean;
  /** Seconds to spend, at the most; two steps are measured in any case. */
  seconds: number;
  /** Whether kernels are timed. */
  kernels: boolean;
}

/** Milliseconds of a first step, one after the other. Only in a process of its own nothing was done for it before. */
export interface ColdTimes {
  /** Opening the device; not on the CPU. */
  deviceMs?: number;
  /** Loading and compiling, until the step can begin. */
  readyMs: number;
  stepMs: number;
}

export interface TrainFigures {
  name: string;
  sizes: EncoderSizes;
  /** Elements that are trained. */
  trained: number;
  /** How the first step came about. */
  cold: ColdTimes;
  /** A whole step, its losses read back. */
  step: Timing;
  stepsPerSecond: number;
  audioSecondsPerSecond?: number;
  /** Of the same: forwards with the losses alone, and all but the optimizer. */
  forward?: Timing;
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

function noise(count: number, scale: number, mean: number): Float32Array {
  const next = randomSource(7);
  return Float32Array.from({ length: count }, () => scale * next() + mean);
}

/** A few tokens to say. */
function madeUpTargets(batch: MicroBatch, { vocabSize = 0 }: Model['sizes']) {
  const targets = Array.from({ length: batch.utterances }, (_, n) =>
    Array.from({ length: LABELS }, (_, u) => 1 + ((3 * n + 5 * u) % (vocabSize - 1))),
  );
  return { lens: new Array<number>(batch.utterances).fill(framesOf(batch)), targets };
}

/** A batch of noise, by its features. */
function madeUpFeatures(batch: MicroBatch, sizes: Model['sizes']): TrainingBatch {
  const features = noise(batch.utterances * framesOf(batch) * sizes.encoder.numFeatures, 4, -8);
  return { features, ...madeUpTargets(batch, sizes) };
}

/** The same by the input of a layer. */
function madeUpHidden(batch: MicroBatch, sizes: Model['sizes']): HiddenBatch {
  const hidden = noise(batch.utterances * encoderFrames(framesOf(batch)) * sizes.encoder.dModel, 1, 0);
  return { hidden, ...madeUpTargets(batch, sizes) };
}

/** A step, or a layer's. */
export async function trainBench(context: JobContext, input: TrainBenchInput): Promise<TrainFigures> {
  const { workload } = input;
  if (!workload) {
    return layer(context, input);
  }
  return input.onCpu ? onCpu(context, input, workload) : network(context, input, workload);
}

const modelOf = ({ model }: TrainBenchInput) => ('dModel' in model ? randomModel(model) : openModel(model));

/** What a step of so many recordings comes to. */
const stepFigures = (times: readonly number[], batches: readonly MicroBatch[]) => {
  const step = timingOf(times);
  const audio = batches.reduce((sum, batch) => sum + batch.utterances * batch.seconds, 0);
  return { step, stepsPerSecond: 1000 / step.medianMs, audioSecondsPerSecond: (1000 * audio) / step.medianMs };
};

/** A lesson's steps without a GPU. */
async function onCpu(
  { emit }: JobContext,
  input: TrainBenchInput,
  { name, batches, from = 0, trainable }: Workload,
): Promise<TrainFigures> {
  const model = modelOf(input);
  const micro = batches.map((batch) => madeUpHidden(batch, model.sizes));
  const capacity = capacityOf(batches);
  const start = performance.now();
  const learner = await CpuLearner.create({ model, from, capacity });
  const ready = performance.now();
  await learner.step(micro, LEARNING_RATE);
  const cold = { readyMs: ready - start, stepMs: performance.now() - ready };
  const times: number[] = [];
  const end = performance.now() + 1000 * input.seconds;
  while (times.length < 2 || performance.now() < end) {
    const begun = performance.now();
    await learner.step(micro, LEARNING_RATE);
    times.push(performance.now() - begun);
    emit({ type: 'progress', done: times.length });
  }
  return {
    ...{ name: `${name}, on the CPU`, sizes: model.sizes.encoder, cold, memory: {} },
    trained: [...model.weights.tensors]
      .filter(([tensor]) => isTrained(tensor, trainable))
      .reduce((sum, [, { shape }]) => sum + elementCount(shape), 0),
    ...stepFigures(times, batches),
  };
}

function capacityOf(batches: readonly MicroBatch[]): Capacity {
  const frames = batches.map((batch) => encoderFrames(framesOf(batch)));
  return {
    utterances: Math.max(...batches.map(({ utterances }) => utterances)),
    frames: Math.max(...frames),
    rows: Math.max(...batches.map(({ utterances }, i) => utterances * frames[i])),
    labels: LABELS,
  };
}

const memoryOf = (memory: ReadonlyMap<string, number>) =>
  Object.fromEntries([...memory].filter(([, bytes]) => bytes > 0));

async function layer({ engine, openedMs: deviceMs }: JobContext, { seconds }: TrainBenchInput): Promise<TrainFigures> {
  const gpu = gpuOf(engine);
  const problem = layerProblem();
  const start = performance.now();
  const contender = await rillLayer(gpu)(problem);
  const ready = performance.now();
  await contender.step();
  const cold = { deviceMs, readyMs: ready - start, stepMs: performance.now() - ready };
  await contender.forward();
  const forward = await time(contender.forward, seconds / 2, 2);
  const step = await time(contender.step, seconds / 2, 2);
  const memory = memoryOf(gpu.memory);
  contender.dispose();
  const { encoder: sizes } = problem.model.sizes;
  return { name: 'layer', sizes, trained: 0, cold, step, stepsPerSecond: 1000 / step.medianMs, forward, memory };
}

async function network(
  { engine, openedMs: deviceMs, emit }: JobContext,
  input: TrainBenchInput,
  { name, batches, from, trainable }: Workload,
): Promise<TrainFigures> {
  const { seconds, kernels } = input;
  const gpu = gpuOf(engine);
  const model = modelOf(input);
  const madeUp = from === undefined ? madeUpFeatures : madeUpHidden;
  const micro = batches.map((batch) => madeUp(batch, model.sizes));
  const capacity = capacityOf(batches);
  const start = performance.now();
  const training = await TrainingNetwork.create(gpu, model, capacity, { trainable, from });
  const optimizer = await Optimizer.create(gpu, training.parameters);
  const ready = performance.now();
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
    const cold = { deviceMs, readyMs: ready - start, stepMs: performance.now() - ready };
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
    const hasTimes = kernels && gpu.device.features.has('timestamp-query');
    return {
      name,
      sizes: model.sizes.encoder,
      trained: training.parameters.trained.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0),
      cold,
      ...stepFigures(times.step, batches),
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
