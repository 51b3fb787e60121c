import type { EncoderCapacity } from '../../encoder/encoder.ts';
import type { WeightDtype } from '../../model/dtypes.ts';
import type { Model } from '../../model/model.ts';
import type { GpuContext } from '../device/context.ts';
import { keep, recall, type KernelStore } from '../device/kernel-store.ts';
import * as kernelSources from '../kernels.generated.ts';
import { CONV_METHOD_NAMES, METHOD_NAMES, type KernelChoice, type MethodName } from '../methods.ts';
import { PLAIN, candidateKernels } from './candidates.ts';
import { NO_PAUSES, type Pauses } from './pauses.ts';
import { checkedSteps, rehearseKernels, rehearsedSteps, type Part, type Rehearsal } from './rehearsal.ts';

/** A method must be this much faster than the plain one to be taken: less is noise. */
const MAX_SHARE = 0.97;

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

/** What kernels are chosen for. */
export interface Occasion {
  context: GpuContext;
  model: Model;
  dtype: WeightDtype;
  capacity: Pick<EncoderCapacity, 'maxStreams' | 'maxFrames'>;
  /** The context's by default. */
  kernelStore?: KernelStore;
}

/** What has been chosen while the page or process lives. */
const chosen = new Map<string, KernelChoice>();

/** Under what a choice is remembered and kept. */
function keyOf({ context, model, dtype, capacity }: Occasion): string {
  return JSON.stringify([
    REHEARSAL_VERSION,
    context.adapter,
    globalThis.navigator?.userAgent,
    shadersHash(),
    candidateKernels(context, model, dtype),
    model.sizes.encoder,
    dtype,
    rehearsedSteps(capacity.maxStreams),
  ]);
}

const storeOf = ({ context, kernelStore = context.kernelStore }: Occasion) => kernelStore;

/** Kernels to start with. */
export interface StartingKernels {
  kernels: KernelChoice;
  /** Whether they are what would be chosen. */
  isSettled: boolean;
}

/** Kernels to start with at once: those chosen before, or the plain ones. What a store has kept is not checked yet. */
export async function startingKernels(occasion: Occasion): Promise<StartingKernels> {
  const key = keyOf(occasion);
  const earlier = chosen.get(key);
  if (earlier) {
    return { kernels: earlier, isSettled: true };
  }
  return { kernels: (await recallChoice(occasion, key)) ?? PLAIN, isSettled: false };
}

/**
 * The fastest kernels for a model on an adapter, measured once in a short rehearsal. Remembered while the page or
 * process lives, and in a store (browsers' cache storage by default) from start to start, when they are checked again, but
 * not timed: the driver may be another one.
 *
 * @param onRefused called when kernels that were kept are not taken any more, before others are rehearsed
 * @throws RillError `bad-model`, `shader`, `gpu`, `device-lost`.
 */
export async function chooseKernels(
  occasion: Occasion,
  pauses: Pauses = NO_PAUSES,
  onRefused: () => Promise<void> = async () => undefined,
): Promise<KernelChoice> {
  const { context, model, dtype, capacity } = occasion;
  const store = storeOf(occasion);
  const key = keyOf(occasion);
  const earlier = chosen.get(key);
  if (earlier) {
    return earlier;
  }
  const steps = rehearsedSteps(capacity.maxStreams);
  const checked = checkedSteps(capacity);
  const kept = await recallChoice(occasion, key);
  if (kept) {
    const all = [...steps, ...checked];
    const rehearsals = isPlain(kept)
      ? []
      : await rehearseKernels(context, model, dtype, [], all, [PLAIN, kept], { pauses });
    if (rehearsals.every(({ refused }) => refused === undefined)) {
      chosen.set(key, kept);
      return kept;
    }
    await onRefused();
  }
  const trials = await Trials.recall(store, key);
  const able = candidateKernels(context, model, dtype).filter(({ matrices }) => matrices !== trials.fatal);
  const onTry = (tried?: KernelChoice) => trials.keep(tried);
  const rehearsals = await rehearseKernels(context, model, dtype, steps, checked, able, { onTry, pauses }).catch(
    async (error: unknown) => {
      if (pauses.ended) {
        // It was not the method that took the device.
        await onTry();
      }
      throw error;
    },
  );
  const kernels = fastestKernels(rehearsals);
  await keep(store, key, kernels);
  chosen.set(key, kernels);
  return kernels;
}

export const isPlain = ({ convolutions, matrices }: KernelChoice): boolean =>
  convolutions === PLAIN.convolutions && matrices === PLAIN.matrices;

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
  get fatal(): MethodName | undefined {
    const { method, times } = this.#before;
    return typeof times === 'number' && times >= FATAL_TRIALS && method !== 'plain'
      ? METHOD_NAMES.find((each) => each === method)
      : undefined;
  }

  async keep(tried: KernelChoice | undefined): Promise<void> {
    const { method, times } = this.#before;
    const before = method === tried?.matrices && typeof times === 'number' ? times : 0;
    await keep(this.#store, this.#key, tried ? { method: tried.matrices, times: before + 1 } : {});
  }
}

/** What a store has kept, of the kernels that this device can run. */
async function recallChoice(occasion: Occasion, key: string): Promise<KernelChoice | undefined> {
  const kept = await recall(storeOf(occasion), key);
  const able = candidateKernels(occasion.context, occasion.model, occasion.dtype).map(({ matrices }) => matrices);
  return able
    .flatMap((matrices) =>
      CONV_METHOD_NAMES.filter((method) => able.includes(method)).map((convolutions) => ({ convolutions, matrices })),
    )
    .find((choice) => JSON.stringify(choice) === JSON.stringify(kept));
}
