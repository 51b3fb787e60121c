import type { Admission, Place } from './admission.ts';

/** A place that the connections of one call share. */
interface SharedPlace {
  place: Place;
  connections: number;
}

/**
 * Places of calls that have a name: a client that comes back while its last connection is not known to be lost takes no
 * second one, so that a server that is full does not keep it from its own call.
 */
export class CallPlaces {
  readonly #admission: Admission;
  readonly #shared = new Map<string, SharedPlace>();

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  /** @throws as {@link Admission.enter} */
  enter(call: string): Place {
    this.#admission.requireOpen();
    const shared = this.#shared.get(call) ?? { place: this.#admission.enter(), connections: 0 };
    this.#shared.set(call, shared);
    shared.connections++;
    let isHere = true;
    return {
      leave: () => {
        if (isHere) {
          isHere = false;
          this.#leave(call, shared);
        }
      },
    };
  }

  #leave(call: string, shared: SharedPlace): void {
    shared.connections--;
    if (shared.connections === 0) {
      this.#shared.delete(call);
      shared.place.leave();
    }
  }
}
