import { RillError } from '../../errors.ts';
import { clockTick } from '../../encoder/clock.ts';
import { BufferScope, type GpuContext } from '../device/context.ts';
import * as kernelSources from '../kernels.generated.ts';
import { readBuffers } from '../device/readback.ts';
import type { WeightDtype } from '../../model/dtypes.ts';
import type { Model } from '../../model/model.ts';
import { SUBSAMPLING_FACTOR, type EncoderSizes } from '../../model/sizes.ts';
import { keep, recall, type KernelStore } from '../device/kernel-store.ts';
import {
  CONV_METHODS,
  MATRIX_METHODS,
  ableMethods,
  storageFor,
  type KernelChoice,
  type MatrixMethod,
} from '../matrices.ts';
import type { EncoderCapacity } from '../../encoder/encoder.ts';
import { compileEncoder } from '../plan.ts';
import { madeUpFeatures, sameBytes } from '../../encoder/exactness.ts';
import { WeightLoader, loadEncoderWeights, type EncoderWeights } from '../weights.ts';
import { Workspace } from '../workspace.ts';

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

type Part = 'embedding' | 'layers';

/** The kernels of a method, with the convolutions that go with it. */
export const kernelsOf = (matrices: MatrixMethod): KernelChoice => {
  return { convolutions: CONV_METHODS.find((method) => method === matrices) ?? 'plain', matrices };
};

/** A method must be this much faster than the plain one to be taken: less is noise. */
const MAX_SHARE = 0.97;
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

/**
 * Runs the embedding and the first layer or layers of a model by each choice of kernels: against the first byte for
 * byte, and against the clock.
 *
 * @param steps are timed, too
 * @param checked are only compared
 * @param choices the plain one first
 * @param onTry called before a choice is run for the first time, and with none when all have been
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
  onTry: (choice?: KernelChoice) => Promise<void> = async () => undefined,
): Promise<Rehearsal[]> {
  const all = [...steps, ...checked];
  const actors: Actor[] = [];
  const refusals: Rehearsal[] = [];
  const scope = new BufferScope(context);
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
    loaded.set(key, weights);
    return weights;
  };
  try {
    let expected: Float32Array[] | undefined;
    for (const choice of choices) {
      let actor: Actor | undefined;
      await onTry(choice);
      try {
        actor = await Actor.prepare(context, sizes, await weightsFor(choice), choice, all);
        const states = await actor.runAll(all);
        context.check();
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
        // What an adapter cannot compile or run it does without; the plain kernels it must be able to run.
        const refusable = error instanceof RillError && (error.code === 'shader' || error.code === 'gpu');
        if (!refusable || choice === choices[0]) {
          throw error;
        }
        refusals.push({ choice, refused: error.got });
      }
    }
    await onTry();
    for (const part of ['embedding', 'layers'] as const) {
      for (const step of steps) {
        let contenders = actors;
        for (let round = 0; round < ROUNDS; round++) {
          for (const actor of contenders) {
            await actor.time(part, step, round === 0);
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

/**
 * On a few lanes of a processor barriers cost more than they share (ARCHITECTURE.md, Methods, has the figures), and
 * shaders with them take long to compile.
 */
const WITH_BARRIERS: readonly MatrixMethod[] = ['split', 'waves'];

/**
 * Their workgroups are as small as the few lanes of a processor that emulates a GPU: they leave most of a GPU's subgroup
 * idle, and cost as long to compile as any.
 */
const IN_SMALL_GROUPS: readonly MatrixMethod[] = ['texels', 'quads'];
const WIDE_SUBGROUP = 16;

/** Each method once, the plain one first. */
export function ableKernels(context: GpuContext, { sizes }: Model, dtype: WeightDtype): KernelChoice[] {
  return ableMethods(context, sizes, dtype).map(kernelsOf);
}

/** Those that are worth a rehearsal. */
export function candidateKernels(context: GpuContext, model: Model, dtype: WeightDtype): KernelChoice[] {
  const { isFallbackAdapter, subgroupMinSize = 0 } = context.adapter;
  return ableKernels(context, model, dtype).filter(
    ({ matrices }) =>
      !(isFallbackAdapter && WITH_BARRIERS.includes(matrices)) &&
      !(subgroupMinSize >= WIDE_SUBGROUP && IN_SMALL_GROUPS.includes(matrices)),
  );
}

/** The fastest kernels for each part: in the geometric mean over the steps, and by a margin if not the plain ones. */
export function fastestKernels(rehearsals: readonly Rehearsal[]): KernelChoice {
  const [plain] = rehearsals;
  const fastest = (part: Part) => {
    let [best, share]: [KernelChoice, number] = [plain.choice, MAX_SHARE];
    for (const { choice, ms } of rehearsals) {
      const logarithms = ms?.[part].map((each, i) => Math.log(each / (plain.ms?.[part][i] ?? NaN))) ?? [];
      const mean = Math.exp(logarithms.reduce((sum, each) => sum + each, 0) / logarithms.length);
      if (mean < share) {
        [best, share] = [choice, mean];
      }
    }
    return best;
  };
  return { convolutions: fastest('embedding').convolutions, matrices: fastest('layers').matrices };
}

/** Raised when something else than a shader changes what a rehearsal would say: tiles, bounds, steps. */
const REHEARSAL_VERSION = 4;

/** A number of all shaders together: what was measured with others does not count. */
function shadersHash(): number {
  let hash = 0;
  for (const { code } of Object.values(kernelSources)) {
    for (let i = 0; i < code.length; i++) {
      hash = (Math.imul(hash, 31) + code.charCodeAt(i)) | 0;
    }
  }
  return hash;
}

/** What has been chosen, and what is being. */
const chosen = new Map<string, Promise<KernelChoice>>();

/**
 * The fastest kernels for a model on an adapter, measured once in a short rehearsal. Remembered while the page or
 * process lives, and in a store (browsers' cache storage by default) from start to start, when they are checked again, but
 * not timed: the driver may be another one.
 *
 * @throws RillError `bad-model`, `shader`, `gpu`, `device-lost`.
 */
export function chooseKernels(
  context: GpuContext,
  model: Model,
  dtype: WeightDtype,
  capacity: Pick<EncoderCapacity, 'maxStreams' | 'maxFrames'>,
  kernelStore: KernelStore = context.kernelStore,
): Promise<KernelChoice> {
  const candidates = candidateKernels(context, model, dtype);
  const steps = rehearsedSteps(capacity.maxStreams);
  const checked = checkedSteps(capacity);
  const key = JSON.stringify([
    REHEARSAL_VERSION,
    context.adapter,
    globalThis.navigator?.userAgent,
    shadersHash(),
    candidates,
    model.sizes.encoder,
    dtype,
    steps,
  ]);
  const earlier = chosen.get(key);
  if (earlier) {
    // What went wrong on another device need not go wrong on this one.
    return earlier.catch(() => chooseKernels(context, model, dtype, capacity, kernelStore));
  }
  const choice = recallChoice(kernelStore, key).then(async (recalled) => {
    const plain = kernelsOf('plain');
    if (recalled?.matrices === plain.matrices && recalled.convolutions === plain.convolutions) {
      return plain;
    }
    if (recalled) {
      const again = [plain, recalled];
      const rehearsals = await rehearseKernels(context, model, dtype, [], [...steps, ...checked], again);
      if (rehearsals.every(({ refused }) => refused === undefined)) {
        return recalled;
      }
    }
    const trials = await Trials.recall(kernelStore, key);
    const able = candidates.filter(({ matrices }) => matrices !== trials.fatal);
    const kernels = fastestKernels(
      await rehearseKernels(context, model, dtype, steps, checked, able, (tried) => trials.keep(tried)),
    );
    await keep(kernelStore, key, kernels);
    return kernels;
  });
  chosen.set(key, choice);
  choice.catch(() => chosen.delete(key));
  return choice;
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
    const workspace = new Workspace(context, sizes, weights, kernels, [], { slots: lanes, lanes, frames });
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

  /** Times a part of a step. @param first of this part and step */
  async time(only: Part, step: StepSize, first: boolean): Promise<void> {
    const times = this.ms[only];
    const layers = only === 'layers' ? this.#sizes.numEncoderLayers : 1;
    const tick = clockTick();
    if (first) {
      let repeats = 1;
      let took = await this.#run(step, { only });
      while (took < LEAST_TICKS * tick && repeats < TIMED_STEPS) {
        repeats = Math.min(2 * repeats, TIMED_STEPS);
        took = await this.#run(step, { only, repeats });
      }
      times.push(Math.max(took, tick) / repeats / layers);
    }
    const least = (await this.#context.reportsLate()) ? TIMED_LATE_MS : TIMED_MS;
    const timedMs = Math.max(least, Math.min(TIMED_TICKS * tick, LONGEST_TIMED_MS));
    const shortest = this.last(only);
    const expected = layers * shortest;
    const repeats = Math.max(1, Math.min(TIMED_STEPS, Math.round(timedMs / expected)));
    const took = await this.#run(step, { only, repeats, expectedMs: repeats * expected });
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
    this.#workspace.upload(inputs, frames);
    const { device, polls } = this.#context;
    const encoder = device.createCommandEncoder();
    for (let repeat = 0; repeat < repeats; repeat++) {
      this.#workspace.record(encoder, lanes, frames, { only });
    }
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    if (polls) {
      // Polling would take a core from a software adapter.
      await new Promise((resolve) => setTimeout(resolve, EARLY * expectedMs));
    }
    await workDone(this.#context);
    return performance.now() - start;
  }
}

/** What is wrong with what a choice has left behind, if anything is. */
export function objection(actual: readonly Float32Array[], expected: readonly Float32Array[]): string | undefined {
  const same = actual.every((values, i) => sameBytes(values, expected[i]));
  return same ? undefined : 'other bytes than the plain kernels';
}

/** Times that a method may take the device, or the page, with it before it is left alone. */
const FATAL_TRIALS = 2;

/**
 * The method that is being tried, kept where choices are: a driver that crashes on one would do so on each visit. A method
 * that is only refused leaves nothing behind: the next one takes its place.
 */
class Trials {
  readonly #store: KernelStore;
  readonly #key: string;
  readonly #before: { method?: unknown; times?: unknown };

  private constructor(store: KernelStore, key: string, before: { method?: unknown; times?: unknown }) {
    this.#store = store;
    this.#key = key;
    this.#before = before;
  }

  static async recall(store: KernelStore, key: string): Promise<Trials> {
    const trialsKey = `${key} trials`;
    const kept = await recall(store, trialsKey);
    return new Trials(store, trialsKey, typeof kept === 'object' && kept !== null ? kept : {});
  }

  /** The method to leave alone, if any; never the plain one, without which nothing runs. */
  get fatal(): MatrixMethod | undefined {
    const { method, times } = this.#before;
    return typeof times === 'number' && times >= FATAL_TRIALS && method !== 'plain'
      ? MATRIX_METHODS.find((each) => each === method)
      : undefined;
  }

  async keep(tried: KernelChoice | undefined): Promise<void> {
    const { method, times } = this.#before;
    const before = method === tried?.matrices && typeof times === 'number' ? times : 0;
    await keep(this.#store, this.#key, tried ? { method: tried.matrices, times: before + 1 } : {});
  }
}

async function recallChoice(store: KernelStore, key: string): Promise<KernelChoice | undefined> {
  const kept = await recall(store, key);
  return MATRIX_METHODS.flatMap((matrices) => CONV_METHODS.map((convolutions) => ({ convolutions, matrices }))).find(
    (choice) => JSON.stringify(choice) === JSON.stringify(kept),
  );
}
