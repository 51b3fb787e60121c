import { RillError } from '../../errors.ts';
import {
  ReduceLrOnPlateau,
  constantFactor,
  edenFactor,
  linearFactor,
  type EdenOptions,
  type PlateauOptions,
  type PlateauState,
} from '../schedules.ts';

/** How the learning rate goes; `linear` falls to 0 at the last step. */
export type LrSchedulerType = 'linear' | 'constant' | 'eden' | 'reduce_lr_on_plateau';
export const SCHEDULERS: readonly LrSchedulerType[] = ['linear', 'constant', 'eden', 'reduce_lr_on_plateau'];

/** What a schedule is made of. */
export interface ScheduleOptions {
  learningRate: number;
  lrSchedulerType: LrSchedulerType;
  warmupSteps: number;
  eden: EdenOptions;
  plateau: PlateauOptions;
}

/** The learning rate of each step. */
export class Schedule {
  readonly #options: ScheduleOptions;
  readonly #plateau: ReduceLrOnPlateau;

  /** @param state of a plateau to go on from */
  constructor(options: ScheduleOptions, state?: PlateauState) {
    this.#options = options;
    this.#plateau = new ReduceLrOnPlateau(state ?? options.learningRate, options.plateau);
  }

  /** What is to be remembered. */
  get state(): PlateauState {
    return this.#plateau.state;
  }

  /** Takes the loss of a validation. */
  validated(loss: number): void {
    if (this.#options.lrSchedulerType === 'reduce_lr_on_plateau') {
      this.#plateau.validated(loss);
    }
  }

  /**
   * @param step of the whole training, counted from 0, as `epoch` is
   * @param totalSteps where they are known
   * @throws RillError `bad-argument` where `linear` does not know its end.
   */
  rate(step: number, epoch: number, totalSteps: number | undefined): number {
    const { learningRate, lrSchedulerType, warmupSteps, eden } = this.#options;
    switch (lrSchedulerType) {
      case 'constant':
        return learningRate * constantFactor(step, { warmupSteps });
      case 'eden':
        return learningRate * edenFactor(step + 1, epoch, eden) * constantFactor(step, { warmupSteps });
      case 'reduce_lr_on_plateau':
        return this.#plateau.state.lr * constantFactor(step, { warmupSteps });
      case 'linear':
        if (totalSteps === undefined) {
          throw new RillError('bad-argument', {
            got: 'a learning rate that falls to 0 at the last step, without one',
            expected: 'maxSteps',
            remedy: 'State maxSteps, or choose the lrSchedulerType `constant`.',
          });
        }
        return learningRate * linearFactor(step, { warmupSteps, totalSteps });
    }
  }
}
