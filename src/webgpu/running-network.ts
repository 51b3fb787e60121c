import type { HeadOptions, HeadOutput } from '../encoder/outputs.ts';
import type { KernelChoice } from './methods.ts';
import { Network, type NetworkSource } from './network.ts';
import type { Slots } from './slots.ts';
import { readInPauses, type Pauses } from './tuning/pauses.ts';
import type { BoundHead } from './workspace.ts';

/** The network that an encoder's steps run, with the heads that were asked for; its kernels can change between two steps. */
export class RunningNetwork {
  readonly #slots: Slots;
  readonly #asked: { output: HeadOutput; options: HeadOptions }[] = [];
  #network: Network;
  /** While another takes the place of the network. */
  #changing: Promise<void> | undefined;
  #isDisposed = false;

  constructor(network: Network, slots: Slots) {
    this.#network = network;
    this.#slots = slots;
  }

  /** How its kernels work. */
  get choice(): KernelChoice {
    return this.#network.choice;
  }

  /**
   * Loads a head, which runs in each step from then on.
   *
   * @param check called before that: whether the encoder is still there
   * @throws RillError `bad-model` when the model has no such head.
   */
  async provide(output: HeadOutput, options: HeadOptions, check: () => void): Promise<BoundHead> {
    for (;;) {
      const network = this.#network;
      try {
        const head = await network.loadHead(output, options);
        await this.#changing;
        check();
        if (network === this.#network) {
          this.#asked.push({ output, options });
          return this.#slots.attach(head);
        }
      } finally {
        if (network !== this.#network || this.#isDisposed) {
          // What was loaded since the network had to go.
          network.dispose();
        }
      }
    }
  }

  /**
   * Changes over to other kernels between two steps. Until then the ones before run, and their weights stay.
   *
   * @param source of the new network
   * @param pauses when there is time to load and to change
   * @throws RillError `shader`, `gpu` without memory for both at a time, `device-lost`: all is as before then
   */
  async changeTo(choice: KernelChoice, source: NetworkSource, pauses: Pauses): Promise<void> {
    const { convolutions, matrices } = this.choice;
    if (choice.convolutions === convolutions && choice.matrices === matrices) {
      return;
    }
    const { weights } = readInPauses(source.model, pauses);
    const next = await Network.load({ ...source, ownErrors: true }, choice, weights);
    try {
      do {
        for (const { output, options } of this.#asked.slice(next.heads.length)) {
          next.heads.push(await next.loadHead(output, options, weights));
        }
        await this.#slots.settled();
        await pauses.moment();
        // Another head may have been asked for meanwhile.
      } while (next.heads.length < this.#asked.length);
      this.#changing = this.#swap(next);
      await this.#changing;
    } finally {
      if (this.#network !== next) {
        next.dispose();
      }
    }
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#network.dispose();
  }

  async #swap(next: Network): Promise<void> {
    try {
      if (await this.#slots.changeTo(next)) {
        this.#network.dispose();
        this.#network = next;
      }
    } finally {
      this.#changing = undefined;
    }
  }
}
