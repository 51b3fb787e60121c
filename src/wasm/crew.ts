import { encoderClosed } from '../encoder/checks.ts';
import { RillError } from '../errors.ts';
import type { Setup, Share } from './share.ts';
import type { Thread, Threads } from './threads.ts';

/** Who waits for an answer. */
interface Waiting {
  resolve: () => void;
  reject: (error: RillError) => void;
}

/** One of the threads beside the calling one: it is told one thing at a time. */
class Helper {
  readonly #thread: Thread;
  #waiting: Waiting | undefined;
  #ended: RillError | undefined;

  constructor(threads: Threads) {
    try {
      this.#thread = threads.start({
        onReply: ({ failure }) => {
          if (failure === undefined) {
            this.#waiting?.resolve();
          } else {
            this.end(threadDied(failure));
          }
        },
        onDeath: (cause) => {
          this.end(threadDied(cause));
        },
      });
    } catch (cause) {
      throw threadDied(cause);
    }
  }

  /** Resolves when it is done. @throws RillError `worker` when the thread is dead, or dies over it; `closed`. */
  ask(message: Setup | Share): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended);
        return;
      }
      this.#waiting = { resolve, reject };
      try {
        this.#thread.post(message);
      } catch (cause) {
        reject(threadDied(cause));
      }
    });
  }

  /** From now on, and for whoever waits, there is only this error. */
  end(error: RillError): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
    this.#thread.end();
  }
}

/** The threads of an encoder beside the calling one. */
export class Crew {
  readonly #helpers: Helper[] = [];

  /** @throws RillError `worker` when they cannot be started. */
  constructor(threads: Threads) {
    try {
      while (this.#helpers.length < threads.count - 1) {
        this.#helpers.push(new Helper(threads));
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  get size(): number {
    return this.#helpers.length;
  }

  /** Tells all of them what they work on. @throws RillError `worker`. */
  async setUp(setup: Setup): Promise<void> {
    await Promise.all(this.#helpers.map((helper) => helper.ask(setup)));
  }

  /**
   * Has shares done, one by each. Resolves when nobody is at work on them any more.
   *
   * @throws RillError `worker` when a thread is dead, or dies over it; `closed` when they are ended meanwhile.
   */
  async run(shares: readonly Share[]): Promise<void> {
    const all = await Promise.allSettled(shares.map((share, i) => this.#helpers[i].ask(share)));
    for (const each of all) {
      if (each.status === 'rejected') {
        throw each.reason;
      }
    }
  }

  dispose(): void {
    this.#helpers.forEach((helper) => {
      helper.end(encoderClosed());
    });
  }
}

function threadDied(cause: unknown): RillError {
  return new RillError(
    'worker',
    {
      got: `a thread that did not start or has died (${cause instanceof Error ? cause.message : String(cause)})`,
      expected: 'threads that last as long as their encoder',
      remedy:
        'Load the model again, with threads: 1 if it recurs; a Content-Security-Policy must allow worker-src blob:.',
    },
    { cause },
  );
}
