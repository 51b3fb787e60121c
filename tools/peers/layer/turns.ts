/** Checks that all who train the layer come to the same losses, then times them in turns. */
import { nudged } from '../../../src/webgpu/device/context.ts';
import { timingOf, type Timing } from '../../runtime/statistics.ts';
import type { LayerContender, LayerProblem, OpenLayer } from '../../training-speed/layer-problem.ts';
import { counted, type Counts } from './counts.ts';

/** One who trains the layer. */
export interface LayerCompetitor {
  name: string;
  open: OpenLayer;
  /** Whether it asks for finished work again and again by itself where browsers tell of it late, as Rill does. */
  asksByItself?: boolean;
}

export interface LayerFigures {
  name: string;
  /** Losses of the first steps. */
  losses: number[];
  /** Largest relative difference of these from the first one's, which is Rill. */
  largestDifference?: number;
  /** Why there are no times. */
  problem?: string;
  /** From an open page to the loss of the first step: compiling included, scripts loaded before. */
  coldMs?: number;
  /** Dispatches and submits of a step. */
  counts?: Counts;
  /** Bytes that it says it takes. */
  bytes?: number;
  /** The loss alone. */
  forward?: Timing;
  /** Forwards, backwards and Adam. */
  step?: Timing;
}

/** Losses of the first steps agree within this, relatively: sums in another order, over 75 frames and a few steps. */
export const LOSS_BOUND = 2e-5;
const CHECKED_STEPS = 4;

export interface LayerSettings {
  rounds: number;
  /** Whether devices tell of finished work late here. */
  reportsLate: boolean;
  onProgress: (done: number, total: number) => Promise<void>;
}

/** One contender's way; it ends at its first error, or its device's. */
class Entrant {
  readonly figures: LayerFigures;
  readonly #competitor: LayerCompetitor;
  readonly #reportsLate: boolean;
  readonly #forward: number[] = [];
  readonly #steps: number[] = [];
  #contender?: LayerContender;

  constructor(competitor: LayerCompetitor, reportsLate: boolean) {
    this.#competitor = competitor;
    this.#reportsLate = reportsLate && !competitor.asksByItself;
    this.figures = { name: competitor.name, losses: [] };
  }

  /** The first steps. */
  async enter(problem: LayerProblem): Promise<void> {
    await this.#guard(async () => {
      const { losses } = this.figures;
      const start = performance.now();
      const contender = (this.#contender = await this.#competitor.open(problem));
      contender.device?.addEventListener('uncapturederror', ({ error }) => {
        this.figures.problem ??= error.message;
      });
      losses.push(await this.#wait(contender.step()));
      this.figures.coldMs = performance.now() - start;
      while (losses.length < CHECKED_STEPS - 1) {
        losses.push(await this.#wait(contender.step()));
      }
      this.figures.counts = await counted(async () => losses.push(await this.#wait(contender.step())));
      this.figures.bytes = contender.bytes;
      await this.#wait(contender.forward());
    });
  }

  compareWith({ losses: expected }: LayerFigures): void {
    const { losses } = this.figures;
    if (losses.length === CHECKED_STEPS && expected.length === CHECKED_STEPS) {
      const difference = Math.max(...expected.map((loss, i) => Math.abs(losses[i] / loss - 1)));
      this.figures.largestDifference = difference;
      if (!(difference <= LOSS_BOUND)) {
        this.figures.problem = `losses ${losses.join(', ')} instead of ${expected.join(', ')}`;
      }
    }
  }

  /** The loss alone, then a whole step. */
  async takeTurn(): Promise<void> {
    await this.#guard(async () => {
      if (this.#contender) {
        const { forward, step } = this.#contender;
        this.#forward.push(await this.#timed(forward));
        this.#steps.push(await this.#timed(step));
      }
    });
  }

  leave(): LayerFigures {
    this.#contender?.dispose();
    if (this.figures.problem === undefined && this.#steps.length > 0) {
      this.figures.forward = timingOf(this.#forward);
      this.figures.step = timingOf(this.#steps);
    }
    return this.figures;
  }

  async #timed(run: () => Promise<unknown>): Promise<number> {
    const start = performance.now();
    await this.#wait(run());
    return performance.now() - start;
  }

  #wait<Told>(told: Promise<Told>): Promise<Told> {
    const device = this.#contender?.device;
    return this.#reportsLate && device ? nudged(device, told) : told;
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.figures.problem === undefined) {
      await run().catch((error: unknown) => {
        this.figures.problem ??= error instanceof Error ? error.message : String(error);
      });
    }
  }
}

/** @param competitors Rill first: the others' losses are held against its own */
export async function compareLayers(
  problem: LayerProblem,
  competitors: readonly LayerCompetitor[],
  { rounds, reportsLate, onProgress }: LayerSettings,
): Promise<LayerFigures[]> {
  const entrants = competitors.map((competitor) => new Entrant(competitor, reportsLate));
  const [own] = entrants;
  for (const entrant of entrants) {
    await entrant.enter(problem);
    entrant.compareWith(own.figures);
  }
  for (let round = 0; round < rounds; round++) {
    for (const entrant of entrants) {
      await entrant.takeTurn();
    }
    await onProgress(round + 1, rounds);
  }
  return entrants.map((entrant) => entrant.leave());
}
