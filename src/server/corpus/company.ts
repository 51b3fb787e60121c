/** Who is under way beside whom: most may be together, some want to be alone. In the order that they come. */
export class Company {
  /** Resolves when all who came before have left. */
  #all: Promise<void> = Promise.resolve();
  /** Resolves when the last who wanted to be alone has left. */
  #alone: Promise<void> = Promise.resolve();

  /** Waits for a place. @returns gives it back */
  async enter(isAlone: boolean): Promise<() => void> {
    const before = isAlone ? this.#all : this.#alone;
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => (leave = resolve));
    this.#all = this.#all.then(() => left);
    if (isAlone) {
      this.#alone = left;
    }
    await before;
    return leave;
  }
}
