import type { Engine } from '../encoder/engine.ts';
import type { LoadEvent } from '../model/fetch.ts';
import type { Model } from '../model/model.ts';
import { expectedTensors } from '../model/sizes.ts';

/**
 * What is told while a model is fetched and made ready: the events of fetching, then `prepare` for the tensors as they are
 * laid out for the device, and `ready` when a stream can be fed.
 */
export class LoadProgress {
  readonly #name: string;
  #tell: ((event: LoadEvent) => void) | undefined;
  #loaded = 0;

  /** @param name of the model, as events have it */
  constructor(name: string, tell: ((event: LoadEvent) => void) | undefined) {
    this.#name = name;
    this.#tell = tell;
  }

  /** For fetching. That a model has come is not yet that it can hear. */
  readonly onFetch = (event: LoadEvent): void => {
    if (event.status !== 'ready') {
      this.#tell?.(event);
    }
  };

  /** @returns to be called for each tensor that an encoder's option `onTensor` tells of, with the encoder's engine */
  onTensor({ sizes }: Model): (engine: Engine) => void {
    const total = expectedTensors(sizes).size;
    return ({ device: { kind: device } }) => {
      // Heads of both kinds are not always loaded: the last few may never come.
      this.#loaded = Math.min(total, this.#loaded + 1);
      const [loaded, progress] = [this.#loaded, (100 * this.#loaded) / total];
      this.#tell?.({ status: 'prepare', name: this.#name, device, loaded, total, progress });
    };
  }

  /** The last event: what is made ready again, after the loss of a device, is not told here. */
  ready(): void {
    this.#tell?.({ status: 'ready', name: this.#name });
    this.#tell = undefined;
  }
}
