import { RillError } from '../errors.ts';
import type { Reply, Setup, Share } from './share.ts';
import { THREAD } from './thread.generated.ts';

/** More bring nothing on any machine that this was made for. */
const MOST_THREADS = 64;

/** A thread beside the calling one, as its encoder has it. */
export interface Thread {
  /** Tells it what to do; it answers each message with one. */
  post: (message: Setup | Share) => void;
  /** Ends it, also in the middle of its work. */
  end: () => void;
}

/** Whom a thread answers. */
export interface ThreadListener {
  onReply: (reply: Reply) => void;
  /** It did not start, or has died. */
  onDeath: (cause: unknown) => void;
}

/** Threads that an encoder's steps are shared out over. */
export interface Threads {
  /** The calling one among them. */
  count: number;
  /** Starts one of the others. */
  start: (listener: ThreadListener) => Thread;
}

/** A thread's program, over what a runtime calls the port. */
export const threadSource = (port: string) => `${THREAD};serveThread(${port})`;

/**
 * Holds a number of threads to what there can be.
 *
 * @throws RillError `bad-argument`.
 */
export function checkThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > MOST_THREADS) {
    throw new RillError('bad-argument', {
      got: `threads: ${String(count)}`,
      expected: `a whole number from 1 to ${MOST_THREADS}`,
      remedy: 'Take as many as the machine has idle cores, or leave it out for one.',
    });
  }
}

/**
 * Threads in a page or a worker: workers made of text, with no file of their own. Workers can only share memory where a page
 * is cross-origin isolated.
 *
 * @param count the calling one among them
 * @returns nothing for one thread, which needs nothing
 * @throws RillError `bad-argument`, `no-threads`.
 */
export function pageThreads(count: number): Threads | undefined {
  checkThreads(count);
  if (count === 1) {
    return undefined;
  }
  if (typeof Worker === 'undefined') {
    throw new RillError('no-threads', {
      got: `threads: ${count} where there are no web workers`,
      expected: 'a page or a worker, or threads of Node',
      remedy: 'In Node hand in a device: await openNodeEngine({ threads }), of rill-asr/node.',
    });
  }
  if (!globalThis.crossOriginIsolated) {
    throw new RillError('no-threads', {
      got: `threads: ${count} in a page that is not cross-origin isolated`,
      expected: 'threads: 1, or a page whose threads may share memory',
      remedy:
        'Serve the page and its workers with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp; or ask for more than one thread only where crossOriginIsolated is true.',
    });
  }
  return { count, start: startWorker };
}

function startWorker({ onReply, onDeath }: ThreadListener): Thread {
  const url = URL.createObjectURL(new Blob([threadSource('self')], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'rill-thread' });
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    // Its text was read.
    URL.revokeObjectURL(url);
    onReply(data);
  };
  worker.onerror = ({ message }) => {
    URL.revokeObjectURL(url);
    onDeath(message || 'a Content-Security-Policy must allow worker-src blob:');
  };
  return {
    post: (message) => {
      worker.postMessage(message);
    },
    end: () => {
      URL.revokeObjectURL(url);
      worker.terminate();
    },
  };
}
