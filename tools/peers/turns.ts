/** Checks that all contenders give the same, then times them in turns; in a page and in Node. */
import { RillError } from '../../src/errors.ts';
import type { Model } from '../../src/model/model.ts';
import { nudged } from '../../src/webgpu/device/context.ts';
import { MS_PER_FRAME } from '../runtime/bench-job.ts';
import { type Timing, timingOf } from '../runtime/statistics.ts';
import type { Contender, Create } from './contenders.ts';
import { windows, type StepSize } from './step-size.ts';

/** One who is compared. */
export interface Competitor {
  name: string;
  create: Create;
  /** Largest absolute difference of `encoder_out` from the first one's, which is Rill's on the CPU. */
  tolerance: number;
  /** Whether it asks for finished work again and again by itself where browsers tell of it late, as Rill does. */
  asksByItself?: boolean;
}

export interface Figures {
  name: string;
  /** Largest absolute difference of `encoder_out` from Rill's on the CPU in f32 over the checked chunks. */
  largestDifference?: number;
  /** Why there are no times. */
  problem?: string;
  times?: Timing & {
    /** Median time over the audio of a chunk of all streams. */
    realTimeFactor: number;
  };
}

/** As the tests compare with PyTorch: sums in another order differ by some 1e-5. */
export const F32_TOLERANCE = 5e-5;
/** A weight in int8 is off by up to 1/254 of its row's largest. `rill dtypes` finds 3.8e-2 over the recordings; twice that. */
export const INT8_TOLERANCE = 7.6e-2;

const CHECKED_CHUNKS = 5;
/** A turn lasts so long, and one step at the least. */
const TURN_MS = 400;
/** Between turns, for one contender's threads to go to sleep before the next is timed. */
const PAUSE_MS = 100;

/** One contender's way through the checks and the rounds; it ends at its first error, or its device's. */
class Entrant {
  readonly name: string;
  readonly outputs: Float32Array[] = [];
  readonly times: number[] = [];
  problem?: string;
  readonly #features: () => Float32Array;
  readonly #nudged: boolean;
  #contender?: Contender;

  /** @param nudged whether its device is to be asked for finished work again and again */
  constructor(name: string, features: () => Float32Array, nudged: boolean) {
    this.name = name;
    this.#features = features;
    this.#nudged = nudged;
  }

  /** What its GPU device says of its adapter. */
  get adapter(): string | undefined {
    const info = this.#contender?.device?.adapterInfo;
    return info && [info.vendor, info.architecture, info.device].filter(Boolean).join(' ');
  }

  /** The first chunks of the streams, for comparison. */
  async enter(create: () => Promise<Contender>): Promise<void> {
    await this.#guard(async () => {
      this.#contender = await create();
      this.#contender.device?.addEventListener('uncapturederror', ({ error }) => {
        this.problem ??= error.message;
      });
      for (let i = 0; i < CHECKED_CHUNKS; i++) {
        this.outputs.push(await this.#contender.step(this.#features()));
      }
    });
  }

  /** Holds its outputs against another's. @returns the largest difference, if there is something to compare */
  compareWith(other: Entrant, tolerance: number): number | undefined {
    if (this.outputs.length !== other.outputs.length) {
      return undefined;
    }
    const difference = largestDifference(this.outputs, other.outputs);
    if (!(difference <= tolerance)) {
      this.problem = `wrong output${this.problem ? ` (${this.problem})` : ''}`;
    }
    return difference;
  }

  async takeTurn(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    await this.#guard(async () => {
      const end = performance.now() + TURN_MS;
      // The first step of a turn finds the caches full of the others' weights, and is not counted.
      await this.#contender?.step(this.#features());
      do {
        const features = this.#features();
        const start = performance.now();
        await this.#step(features);
        this.times.push(performance.now() - start);
      } while (performance.now() < end);
    });
  }

  /** A step, looked after as often as Rill looks after its own where browsers report finished work late. */
  async #step(features: Float32Array): Promise<void> {
    if (this.#contender) {
      const { device } = this.#contender;
      const step = this.#contender.step(features);
      await (this.#nudged && device ? nudged(device, step) : step);
    }
  }

  async leave(): Promise<void> {
    await this.#contender?.dispose();
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.problem === undefined) {
      await run().catch((error: unknown) => {
        this.problem ??= error instanceof Error ? error.message : String(error);
      });
    }
  }
}

/** Of two lists of arrays that are as long; not a number where one of the values is none. */
export function largestDifference(actual: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let largest = 0;
  expected.forEach((values, n) => {
    values.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(actual[n][i] - value));
    });
  });
  return largest;
}

export interface CompareSettings {
  rounds: number;
  /** Whether devices tell of finished work late here. */
  reportsLate: boolean;
  /** Called after each round. */
  onRound: () => Promise<void>;
}

/**
 * Times steps of one size.
 *
 * @param competitors Rill on the CPU in f32 first: the others' outputs are held against its
 * @throws RillError `internal` when that one fails.
 */
export async function compareAt(
  model: Model,
  size: StepSize,
  competitors: readonly Competitor[],
  { rounds, reportsLate, onRound }: CompareSettings,
): Promise<Figures[]> {
  const entrants = competitors.map(({ name, asksByItself = false }) => {
    return new Entrant(name, windows(model.sizes.encoder.numFeatures, size), reportsLate && !asksByItself);
  });
  const [own] = entrants;
  const differences: (number | undefined)[] = [];
  let adapter: string | undefined;
  for (const [i, entrant] of entrants.entries()) {
    const { create, tolerance } = competitors[i];
    await entrant.enter(async () => (await create(model, size))());
    adapter ??= entrant.adapter;
    if (entrant.adapter !== undefined && entrant.adapter !== adapter) {
      entrant.problem ??= `on another adapter, ${entrant.adapter}`;
    }
    differences.push(entrant.compareWith(own, tolerance));
  }
  for (let round = 0; round < rounds; round++) {
    for (const entrant of entrants) {
      await entrant.takeTurn();
    }
    if (own.problem !== undefined) {
      throw new RillError('internal', {
        got: `a failure of Rill: ${own.problem}`,
        expected: 'output to compare with',
        remedy: 'Run npm test.',
      });
    }
    await onRound();
  }
  const figures: Figures[] = [];
  for (const [i, entrant] of entrants.entries()) {
    await entrant.leave();
    const { name, problem, times } = entrant;
    figures.push({
      name,
      largestDifference: differences[i],
      problem,
      times: problem === undefined ? timesOf(times, size) : undefined,
    });
  }
  return figures;
}

function timesOf(times: readonly number[], { streams, frames }: StepSize): Figures['times'] {
  const timing = timingOf(times);
  return { ...timing, realTimeFactor: timing.medianMs / (MS_PER_FRAME * frames * streams) };
}
