import { Worker } from 'node:worker_threads';
import type { Reply } from '../wasm/share.ts';
import { checkThreads, threadSource, type Thread, type ThreadListener, type Threads } from '../wasm/threads.ts';

/**
 * Threads of Node for the engine on the CPU.
 *
 * @param count the calling one among them
 * @returns nothing for one thread, which needs nothing
 * @throws RillError `bad-argument`.
 */
export function nodeThreads(count: number): Threads | undefined {
  checkThreads(count);
  return count === 1 ? undefined : { count, start };
}

function start({ onReply, onDeath }: ThreadListener): Thread {
  // Neither the flags nor the variables of the process: loaders that they name would be loaded into each thread.
  const options = { eval: true, execArgv: [], env: {}, name: 'rill-thread' };
  const worker = new Worker(threadSource("require('node:worker_threads').parentPort"), options);
  worker.on('message', (reply: Reply) => {
    // A thread without work keeps no process alive.
    worker.unref();
    onReply(reply);
  });
  worker.on('error', onDeath);
  worker.on('exit', (status) => {
    onDeath(`it ended with status ${status}`);
  });
  return {
    post: (message) => {
      worker.ref();
      worker.postMessage(message);
    },
    end: () => {
      void worker.terminate();
    },
  };
}
