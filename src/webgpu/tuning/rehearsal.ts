import { clockTick } from '../../encoder/clock.ts';
import type { EncoderCapacity } from '../../encoder/encoder.ts';
import { sameBytes } from '../../encoder/exactness.ts';
import { madeUpFeatures } from '../../encoder/timing.ts';
import { RillError } from '../../errors.ts';
import type { WeightDtype } from '../../model/dtypes.ts';
import type { Model } from '../../model/model.ts';
import { SUBSAMPLING_FACTOR, type EncoderSizes } from '../../model/sizes.ts';
import { contained, gpuFailure } from '../device/contained.ts';
import { BufferScope, type GpuContext } from '../device/context.ts';
import { readBuffers } from '../device/readback.ts';
import { storageFor, type KernelChoice } from '../methods.ts';
import { compileEncoder } from '../plan.ts';
import { WeightLoader, loadEncoderWeights, type EncoderWeights } from '../weights.ts';
import { Workspace } from '../workspace.ts';
import { NO_PAUSES, type Pauses } from './pauses.ts';

/** A step that is rehearsed: so many streams, and so many encoder frames of each. */
export interface StepSize {
  lanes: number;
  frames: number;
}

/** How a choice of kernels did. */
export interface Rehearsal {
  choice: KernelChoice;
  /** Milliseconds of the embedding and of a layer for each step size; nothing when the choice was refused. */
  ms?: Readonly<Record<Part, readonly number[]>>;
  /** Why it was refused. */
  refused?: string;
}

/** What is timed apart: the convolutions, and the matrices. */
export type Part = 'embedding' | 'layers';

/** Encoders for no more streams than this are judged by one. */
const FEW_STREAMS = 8;
/**
 * What a step size is timed for, also where finished work is reported some milliseconds late, in ticks of the clock where
 * it is coarse, at most, and the most steps.
 */
const TIMED_MS = 12;
const TIMED_LATE_MS = 80;
const TIMED_TICKS = 25;
const LONGEST_TIMED_MS = 200;
const TIMED_STEPS = 500;
/** A first time has to be so many ticks of the clock. */
const LEAST_TICKS = 5;
/** What takes so many times as long as the fastest in one round is not timed in the others. */
const HOPELESS = 3;
/** Each time is the fastest of so many, the choices in turns: other work comes and goes. */
const ROUNDS = 5;
/** Layers that are rehearsed where waves are: enough for them to be in several layers at a time. */
const WAVE_LAYERS = 4;
/** The part of an expected time after which one looks whether the work is done. */
const EARLY = 0.7;

/** The steps that decide: one stream's frame, its chunk, and chunks of many streams where there can be many. */
export function rehearsedSteps(maxStreams: number): StepSize[] {
  const one = [
    { lanes: 1, frames: 1 },
    { lanes: 1, frames: 4 },
  ];
  return maxStreams <= FEW_STREAMS ? one : [...one, { lanes: 16, frames: 4 }];
}

/**
 * Steps that are not timed: with them every kernel is run that the rehearsed steps leave out, those that cover as many
 * rows as a few streams have, or a few frames of one.
 */
export function checkedSteps({ maxStreams, maxFrames }: Pick<EncoderCapacity, 'maxStreams' | 'maxFrames'>): StepSize[] {
  const steps =
    maxStreams <= FEW_STREAMS
      ? [
          { lanes: 2, frames: 2 },
          { lanes: 5, frames: 12 },
        ]
      : [
          { lanes: 2, frames: 1 },
          { lanes: 5, frames: 2 },
        ];
  return steps.map(({ lanes, frames }) => {
    return { lanes: Math.min(lanes, maxStreams), frames: Math.min(frames, maxFrames) };
  });
}

/** How a rehearsal goes about it. */
export interface RehearsalOptions {
  /** Called before a choice is run for the first time, and with none when it has been. */
  onTry?: (choice?: KernelChoice) => Promise<void>;
  /** None by default: it is waited for. */
  pauses?: Pauses;
}

/** Whether it is the kernels that an error speaks against: an adapter does without what it cannot compile or run. */
export const isRefusal = (error: unknown): error is RillError =>
  error instanceof RillError && (error.code === 'shader' || error.code === 'gpu');

/**
 * Runs the embedding and the first layer or layers of a model by each choice of kernels: against the first byte for
 * byte, and against the clock.
 *
 * @param steps are timed, too
 * @param checked are only compared
 * @param choices the plain one first
 * @returns the plain one first
 * @throws RillError `bad-model`, `device-lost`.
 */
export async function rehearseKernels(
  context: GpuContext,
  model: Model,
  dtype: WeightDtype,
  steps: readonly StepSize[],
  checked: readonly StepSize[],
  choices: readonly KernelChoice[],
  { onTry = async () => undefined, pauses = NO_PAUSES }: RehearsalOptions = {},
): Promise<Rehearsal[]> {
  const all = [...steps, ...checked];
  const actors: Actor[] = [];
  const refusals: Rehearsal[] = [];
  const scope = new BufferScope(context, { ownErrors: true });
  const inWaves = choices.some(({ matrices }) => matrices === 'waves');
  const sizes = {
    ...model.sizes.encoder,
    numEncoderLayers: inWaves ? Math.min(WAVE_LAYERS, model.sizes.encoder.numEncoderLayers) : 1,
  };
  const loaded = new Map<string, EncoderWeights>();
  /** Weights as a choice wants them, once for all that want the same; gathered ones serve those that need not be. */
  const weightsFor = async (choice: KernelChoice) => {
    const { matrices, convolutions } = storageFor(choice);
    const storage = { matrices, convolutions, gathered: inWaves && matrices === 'buffer' };
    const key = JSON.stringify(storage);
    const weights =
      loaded.get(key) ?? (await loadEncoderWeights(new WeightLoader(scope, model.weights, dtype, storage), sizes));
    await scope.settled();
    loaded.set(key, weights);
    return weights;
  };
  try {
    let expected: Float32Array[] | undefined;
    for (const choice of choices) {
      let actor: Actor | undefined;
      try {
        const weights = await weightsFor(choice);
        await pauses.moment();
        // No pauses from here until it has run: a page that is left in one would look like one that crashed.
        await onTry(choice);
        actor = await Actor.prepare(context, sizes, weights, choice, all);
        const states = await actor.runAll(all);
        await onTry();
        expected ??= states;
        const refused = objection(states, expected);
        if (refused === undefined) {
          actors.push(actor);
        } else {
          refusals.push({ choice, refused });
          actor.dispose();
        }
      } catch (error) {
        actor?.dispose();
        // The plain kernels it must be able to run.
        if (!isRefusal(error) || choice === choices[0]) {
          throw error;
        }
        await onTry();
        refusals.push({ choice, refused: error.got });
      }
    }
    for (const part of ['embedding', 'layers'] as const) {
      for (const step of steps) {
        let contenders = actors;
        for (let round = 0; round < ROUNDS; round++) {
          for (const actor of contenders) {
            await actor.time(part, step, round === 0, pauses);
          }
          const shortest = Math.min(...contenders.map((actor) => actor.last(part)));
          contenders = contenders.filter((actor) => actor.last(part) <= HOPELESS * shortest);
        }
      }
    }
    context.check();
    return [...actors.map(({ choice, ms }) => ({ choice, ms })), ...refusals];
  } finally {
    actors.forEach((actor) => {
      actor.dispose();
    });
    scope.dispose();
  }
}

/** Waits for everything submitted. @throws RillError `device-lost` */
async function workDone(context: GpuContext): Promise<void> {
  try {
    await context.until(context.device.queue.onSubmittedWorkDone());
  } catch (cause) {
    throw await context.explain(cause);
  }
}

/** The embedding and the first layer or layers by one choice of kernels. */
class Actor {
  readonly choice: KernelChoice;
  /** The fastest so far, for each step in turn. */
  readonly ms: Record<Part, number[]> = { embedding: [], layers: [] };
  readonly #context: GpuContext;
  readonly #workspace: Workspace;
  readonly #sizes: EncoderSizes;

  private constructor(context: GpuContext, sizes: EncoderSizes, choice: KernelChoice, workspace: Workspace) {
    this.choice = choice;
    this.#context = context;
    this.#sizes = sizes;
    this.#workspace = workspace;
  }

  static async prepare(
    context: GpuContext,
    sizes: EncoderSizes,
    weights: EncoderWeights,
    choice: KernelChoice,
    steps: readonly StepSize[],
  ): Promise<Actor> {
    const lanes = Math.max(...steps.map((step) => step.lanes));
    const frames = Math.max(...steps.map((step) => step.frames));
    const largest = { maxLanes: lanes, maxFrames: frames };
    const kernels = await compileEncoder(context, sizes, weights.dtype, choice, largest);
    const { made: workspace, error } = contained(
      context.device,
      () => new Workspace(context, sizes, weights, kernels, [], { slots: lanes, lanes, frames }),
    );
    const failure = await error;
    if (failure) {
      workspace.dispose();
      throw gpuFailure(failure);
    }
    return new Actor(context, sizes, choice, workspace);
  }

  /** Every step once, in whole. @returns outputs and states after each, all that a step leaves behind */
  async runAll(steps: readonly StepSize[]): Promise<Float32Array[]> {
    const after = [];
    for (const step of steps) {
      await this.#run(step, {});
      const { x, h, c } = this.#workspace.buffers;
      for (const buffer of [x, h, c]) {
        after.push(await readBuffers(this.#context, [{ buffer, bytes: buffer.size }]));
      }
    }
    return after;
  }

  /** The fastest so far of the step that was timed last. */
  last(part: Part): number {
    return this.ms[part].at(-1) ?? Infinity;
  }

  /** Times a part of a step, again where other work came in between. @param first of this part and step */
  async time(only: Part, step: StepSize, first: boolean, pauses: Pauses): Promise<void> {
    const run = async (options: { repeats?: number; expectedMs?: number }) => {
      for (;;) {
        await pauses.moment();
        const { begun } = pauses;
        const took = await this.#run(step, { only, ...options });
        if (pauses.begun === begun) {
          return took;
        }
      }
    };
    const times = this.ms[only];
    const layers = only === 'layers' ? this.#sizes.numEncoderLayers : 1;
    const tick = clockTick();
    if (first) {
      let repeats = 1;
      let took = await run({});
      while (took < LEAST_TICKS * tick && repeats < TIMED_STEPS) {
        repeats = Math.min(2 * repeats, TIMED_STEPS);
        took = await run({ repeats });
      }
      times.push(Math.max(took, tick) / repeats / layers);
    }
    const least = (await this.#context.reportsLate()) ? TIMED_LATE_MS : TIMED_MS;
    const timedMs = Math.max(least, Math.min(TIMED_TICKS * tick, LONGEST_TIMED_MS));
    const shortest = this.last(only);
    const expected = layers * shortest;
    const repeats = Math.max(1, Math.min(TIMED_STEPS, Math.round(timedMs / expected)));
    const took = await run({ repeats, expectedMs: repeats * expected });
    times[times.length - 1] = Math.min(shortest, Math.max(took, tick) / repeats / layers);
  }

  dispose(): void {
    this.#workspace.dispose();
  }

  /** Milliseconds of the same step, `repeats` times in one submit. */
  async #run(
    { lanes, frames }: StepSize,
    { only, repeats = 1, expectedMs = 0 }: { only?: Part; repeats?: number; expectedMs?: number },
  ): Promise<number> {
    const features = madeUpFeatures(SUBSAMPLING_FACTOR * frames * this.#sizes.numFeatures);
    const inputs = Array.from({ length: lanes }, (_, slot) => ({ slot, frames, fresh: false, features }));
    const { device, polls } = this.#context;
    const { made: start, error } = contained(device, () => {
      this.#workspace.upload(inputs, frames);
      const encoder = device.createCommandEncoder();
      for (let repeat = 0; repeat < repeats; repeat++) {
        this.#workspace.record(encoder, lanes, frames, { only });
      }
      const commands = encoder.finish();
      const submittedAt = performance.now();
      device.queue.submit([commands]);
      return submittedAt;
    });
    if (polls) {
      // Polling would take a core from a software adapter.
      await new Promise((resolve) => setTimeout(resolve, EARLY * expectedMs));
    }
    await workDone(this.#context);
    const took = performance.now() - start;
    const failure = await error;
    if (failure) {
      throw gpuFailure(failure);
    }
    return took;
  }
}

/** What is wrong with what a choice has left behind, if anything is. */
export function objection(actual: readonly Float32Array[], expected: readonly Float32Array[]): string | undefined {
  const same = actual.every((values, i) => sameBytes(values, expected[i]));
  return same ? undefined : 'other bytes than the plain kernels';
}
