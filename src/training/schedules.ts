/**
 * Learning rates over training, and the scale of losses in mixed precision. What a schedule remembers is a plain object,
 * which is saved as JSON with a checkpoint.
 */

/** Warms up over `warmupSteps`, then stays: a factor for the learning rate. `step` counts from 0. */
export const constantFactor = (step: number, { warmupSteps }: { warmupSteps: number }) =>
  step < warmupSteps ? step / Math.max(1, warmupSteps) : 1;

/** Warms up over `warmupSteps`, then falls to 0 at `totalSteps`: transformers' `linear`. `step` counts from 0. */
export function linearFactor(
  step: number,
  { warmupSteps, totalSteps }: { warmupSteps: number; totalSteps: number },
): number {
  return step < warmupSteps
    ? step / Math.max(1, warmupSteps)
    : Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
}

/** Where Eden's learning rate has fallen to about 0.84 of the first, in batches and in epochs. */
export interface EdenOptions {
  /** 5000 by default. */
  batches?: number;
  /** 10 by default. */
  epochs?: number;
}

/**
 * icefall's Eden: a factor for the learning rate.
 *
 * @param batch of the whole training, counted from 1
 * @param epoch counted from 0
 */
export function edenFactor(batch: number, epoch: number, { batches = 5000, epochs = 10 }: EdenOptions = {}): number {
  const fall = (at: number, scale: number) => ((at ** 2 + scale ** 2) / scale ** 2) ** -0.25;
  return fall(batch, batches) * fall(epoch, epochs);
}

/** Options of PyTorch's `ReduceLROnPlateau` in mode `min`. */
export interface PlateauOptions {
  /** What the learning rate is multiplied by; 0.5 by default. */
  factor?: number;
  /** Validations without a better loss that are let pass; 3 by default. */
  patience?: number;
  /** By how much a better loss is lower; 1e-4 by default. */
  threshold?: number;
  /** Whether `threshold` is a share of the best loss (the default) or a difference. */
  thresholdMode?: 'rel' | 'abs';
  /** Validations after a reduction that do not count; 0 by default. */
  cooldown?: number;
  /** 0 by default. */
  minLr?: number;
  /** The least change of the learning rate; 1e-8 by default. */
  eps?: number;
}

/** What a learning rate that falls when validation does no better remembers. */
export interface PlateauState {
  /** As it is now. */
  lr: number;
  /** The lowest loss; null before the first validation. */
  best: number | null;
  /** Validations since. */
  bad: number;
  /** Validations that do not count yet. */
  cooldown: number;
}

/** Lowers the learning rate when the validation loss no longer falls. */
export class ReduceLrOnPlateau {
  readonly #options: Required<PlateauOptions>;
  readonly #state: PlateauState;

  /** @param start the learning rate at the start, or a state to go on from */
  constructor(start: number | PlateauState, options: PlateauOptions = {}) {
    this.#options = {
      factor: 0.5,
      patience: 3,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
      ...options,
    };
    this.#state = typeof start === 'number' ? { lr: start, best: null, bad: 0, cooldown: 0 } : { ...start };
  }

  get state(): Readonly<PlateauState> {
    return { ...this.#state };
  }

  /**
   * Takes the loss of a validation.
   *
   * @returns the learning rate from here on
   */
  validated(loss: number): number {
    const { factor, patience, cooldown, minLr, eps } = this.#options;
    const state = this.#state;
    if (this.#isBetter(loss)) {
      state.best = loss;
      state.bad = 0;
    } else {
      state.bad++;
    }
    if (state.cooldown > 0) {
      state.cooldown--;
      state.bad = 0;
    }
    if (state.bad > patience) {
      const lower = Math.max(state.lr * factor, minLr);
      state.lr = state.lr - lower > eps ? lower : state.lr;
      state.cooldown = cooldown;
      state.bad = 0;
    }
    return state.lr;
  }

  #isBetter(loss: number): boolean {
    const { threshold, thresholdMode } = this.#options;
    const best = this.#state.best ?? Infinity;
    return loss < (thresholdMode === 'rel' ? best * (1 - threshold) : best - threshold);
  }
}

/** Options of PyTorch's `GradScaler`. */
export interface GradScalerOptions {
  /** What the scale is multiplied by when gradients have stayed finite; 2 by default. */
  growthFactor?: number;
  /** What it is multiplied by when they have not; 0.5 by default. */
  backoffFactor?: number;
  /** Finite steps in a row before the scale grows; 2000 by default. */
  growthInterval?: number;
}

/** What {@link GradScaler} remembers. */
export interface GradScalerState {
  /** What losses are multiplied by before backward, and gradients divided by behind it. */
  scale: number;
  /** Finite steps since the scale last changed. */
  finite: number;
}

/** The scale of losses where gradients are kept in f16. */
export class GradScaler {
  readonly #options: Required<GradScalerOptions>;
  readonly #state: GradScalerState;

  /** @param start the scale at the start, or a state to go on from; a scale of 65536 by default */
  constructor(start: number | GradScalerState = 65536, options: GradScalerOptions = {}) {
    this.#options = { growthFactor: 2, backoffFactor: 0.5, growthInterval: 2000, ...options };
    this.#state = typeof start === 'number' ? { scale: start, finite: 0 } : { ...start };
  }

  get state(): Readonly<GradScalerState> {
    return { ...this.#state };
  }

  /** Takes whether a step's gradients were all finite; where they were not, the step is to be skipped. */
  stepped(areFinite: boolean): void {
    const { growthFactor, backoffFactor, growthInterval } = this.#options;
    const state = this.#state;
    state.finite = areFinite ? state.finite + 1 : 0;
    if (!areFinite) {
      state.scale *= backoffFactor;
    } else if (state.finite === growthInterval) {
      state.scale *= growthFactor;
      state.finite = 0;
    }
  }
}
