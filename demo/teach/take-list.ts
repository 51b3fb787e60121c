/** Takes in the order that they came: those that can be used, and those that were refused, with the reason. */
import type { Waveform } from 'rill-asr';
import { checkTake, type Take, type TakeProblem } from 'rill-asr/training';

/** A recording that was made or dropped. */
export interface NewTake {
  waveform: Waveform;
  /** Of its file; absent for one that was spoken. */
  name?: string;
}

/** A recording, and where the phrase stands in it. */
export interface ListedTake extends NewTake, Take {
  /** Tells it from the others, also from those that are gone. */
  id: number;
}

export class TakeList {
  readonly #refusals: readonly TakeProblem[];
  #takes: ListedTake[] = [];
  #next = 1;

  /** @param refusals problems that a take is refused for; any other one does no harm here */
  constructor(refusals: readonly TakeProblem[]) {
    this.#refusals = refusals;
  }

  get all(): readonly ListedTake[] {
    return this.#takes;
  }

  /** Those that can be used. */
  get fit(): readonly Waveform[] {
    return this.#takes.filter(({ problem }) => problem === undefined).map(({ waveform }) => waveform);
  }

  /**
   * Takes others in; those that were refused before give way to them.
   *
   * @returns how many of them were refused
   */
  add(takes: readonly NewTake[]): number {
    const added = takes.map((each): ListedTake => {
      const { problem, ...take } = checkTake(each.waveform);
      const isRefused = problem !== undefined && this.#refusals.includes(problem);
      return { ...each, ...take, ...(isRefused && { problem }), id: this.#next++ };
    });
    this.#takes = [...this.#takes.filter(({ problem }) => problem === undefined), ...added];
    return added.filter(({ problem }) => problem !== undefined).length;
  }

  remove(id: number): void {
    this.#takes = this.#takes.filter((each) => each.id !== id);
  }
}
