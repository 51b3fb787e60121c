import type { NumberedResult } from './stored-call.ts';

/** Last results of segments that are kept for a client that confirms none: some minutes of talk. */
const MOST_FINALS = 64;

/**
 * Results that a client may not have heard. Of those that are not final the last one alone counts: it says what the ones
 * before said, and more.
 */
export class Unheard {
  #results: readonly NumberedResult[];

  constructor(results: readonly NumberedResult[] = []) {
    this.#results = results;
  }

  /** A result was told. */
  add(told: NumberedResult): void {
    const finals = this.#results.filter(({ result }) => result.isFinal);
    this.#results = [...finals.slice(-MOST_FINALS), told];
  }

  /** The client has all up to a number. */
  confirm(number: number): void {
    this.#results = this.#results.filter((each) => each.number > number);
  }

  /** All of them. */
  get all(): readonly NumberedResult[] {
    return this.#results;
  }

  get isEmpty(): boolean {
    return this.#results.length === 0;
  }

  /** Those up to a number. */
  upTo(number: number): readonly NumberedResult[] {
    return this.#results.filter((each) => each.number <= number);
  }
}
