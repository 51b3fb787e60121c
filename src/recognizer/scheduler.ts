/** Steps that are asked for before the results of the first have come back. */
const STEPS_AHEAD = 2;

/** Whoever has audio to decode. */
export interface Scheduled {
  /** Whether a whole chunk waits, or at the end of the input any part of one. */
  readonly isReady: boolean;
  /** Whether a step over it is under way, or waits for its turn. */
  readonly isUnderWay: boolean;
  /** Called when nothing of it waits or is under way any more: what it has is decoded, also where that was nothing. */
  onIdle(): void;
}

/**
 * Who is decoded next. Whatever is ready goes into one step; with more members ready than lanes those that wait longest go
 * first, so that none waits for more than one round of the others.
 */
export class Scheduler<Member extends Scheduled> {
  readonly #decode: (members: readonly Member[]) => Promise<void>;
  readonly #lanes: () => number;
  /** Members that were given audio since they were last found not ready. */
  readonly #awake = new Set<Member>();
  /** Since when a chunk of each waits, in milliseconds. */
  readonly #since = new WeakMap<Member, number>();
  #running = false;

  /**
   * @param decode advances each member by a chunk; tells the members of their failures itself
   * @param lanes members in a step at most
   */
  constructor(decode: (members: readonly Member[]) => Promise<void>, lanes: () => number) {
    this.#decode = decode;
    this.#lanes = lanes;
  }

  /** A member may have become ready. */
  wake(member: Member): void {
    this.#awake.add(member);
    if (!this.#running) {
      this.#running = true;
      // What comes in the same turn goes into the same step.
      queueMicrotask(() => void this.#run());
    }
  }

  /** Whether a member has audio that is not decoded yet. */
  isAwake(member: Member): boolean {
    return this.#awake.has(member);
  }

  /** A member has ended. */
  forget(member: Member): void {
    this.#awake.delete(member);
  }

  async #run(): Promise<void> {
    const underWay: Promise<void>[] = [];
    for (;;) {
      const ready = this.#takeReady();
      if (ready.length > 0) {
        underWay.push(this.#decode(ready));
      } else if (underWay.length === 0) {
        break;
      }
      if (ready.length === 0 || underWay.length >= STEPS_AHEAD) {
        await underWay.shift();
      }
    }
    this.#running = false;
  }

  /** Members for the next step. */
  #takeReady(): Member[] {
    const waiting: { member: Member; since: number }[] = [];
    const now = performance.now();
    for (const member of this.#awake) {
      if (member.isReady) {
        const since = this.#since.get(member) ?? now;
        this.#since.set(member, since);
        waiting.push({ member, since });
      } else if (!member.isUnderWay) {
        this.#awake.delete(member);
        member.onIdle();
      }
    }
    waiting.sort((a, b) => a.since - b.since);
    const next = waiting.slice(0, this.#lanes()).map(({ member }) => member);
    next.forEach((member) => {
      this.#since.delete(member);
    });
    return next;
  }
}
