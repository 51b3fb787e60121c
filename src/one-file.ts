/** The entry of `dist/rill.min.js`, all of Rill in one file for pages without a bundler. */
import { RecognizerClient as BundledClient, type WorkerHandlers } from './worker/client.ts';
import type { WorkerVerbs } from './worker/messages.ts';

export * from './index.ts';

/**
 * Makes a worker of the very file that this module stands in, also where that lies on another origin: browsers make no
 * worker of such an address, but a worker of the page's own may import from it.
 */
export function createWorker(): Worker {
  const program = `import { serveRecognizer } from ${JSON.stringify(import.meta.url)}; serveRecognizer();`;
  const url = URL.createObjectURL(new Blob([program], { type: 'text/javascript' }));
  const worker = new Worker(url, { type: 'module', name: 'rill' });
  // Its text has been read by then.
  worker.addEventListener('message', () => URL.revokeObjectURL(url), { once: true });
  return worker;
}

/** The client of {@link createWorker}'s worker, or of one whose file calls `serveRecognizer()`, for verbs of its own. */
export class RecognizerClient<Verbs extends WorkerVerbs = Record<never, never>> extends BundledClient<Verbs> {
  constructor(worker: Worker = createWorker(), handlers: WorkerHandlers = {}) {
    super(worker, handlers);
  }
}
