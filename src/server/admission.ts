import { Refusal } from './refusal.ts';

/** A client's place in the server; it is given back once, however often that is called. */
export interface Place {
  leave: () => void;
}

/** How many clients there are, and whether more may come. */
export class Admission {
  readonly #max: number;
  #taken = 0;
  #isDraining = false;
  #waiting: (() => void)[] = [];

  /** @param max clients at a time */
  constructor(max: number) {
    this.#max = max;
  }

  /** Clients that are there. */
  get taken(): number {
    return this.#taken;
  }

  /** Whether nobody is let in any more. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** @throws Refusal `draining` once nobody is let in any more. */
  requireOpen(): void {
    if (this.#isDraining) {
      throw new Refusal('draining', {
        got: 'a call to a server that is about to end',
        expected: 'another server',
        remedy: 'Try again: whatever stands before the servers sends it elsewhere.',
      });
    }
  }

  /** @throws Refusal `draining`, `full`. */
  enter(): Place {
    this.requireOpen();
    if (this.#taken >= this.#max) {
      throw new Refusal('full', {
        got: `call number ${this.#max + 1}`,
        expected: `at most ${this.#max} at a time`,
        remedy: 'Try again when another has ended, or go to another server.',
      });
    }
    this.#taken++;
    let isHere = true;
    return {
      leave: () => {
        if (isHere) {
          isHere = false;
          this.#taken--;
          this.#tellEmpty();
        }
      },
    };
  }

  /** Lets nobody in from now on. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Resolves when nobody is there. */
  async empty(): Promise<void> {
    if (this.#taken > 0) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #tellEmpty(): void {
    if (this.#taken === 0) {
      this.#waiting.splice(0).forEach((resolve) => {
        resolve();
      });
    }
  }
}
