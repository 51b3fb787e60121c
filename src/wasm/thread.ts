import { instantiate } from './kernels.ts';
import { runShare, type Reply, type Setup, type Share } from './share.ts';
import type { Network } from './step.ts';

/** A thread's end of its line to the encoder: a worker's global scope, or a port. */
export interface ThreadPort {
  onmessage: ((event: { data: Setup | Share }) => void) | null;
  onmessageerror: (() => void) | null;
  postMessage(reply: Reply): void;
}

/**
 * The program of a thread beside the calling one: it computes in memory that is shared, and answers each message when it
 * is done. `tools/generate-thread.ts` makes one text of it and of what it imports, so that there is no second file to host.
 */
export default function serveThread(port: ThreadPort): void {
  let network: Network | undefined;
  const answer = async (message: Setup | Share) => {
    if ('module' in message) {
      const { module, memory, ...rest } = message;
      network = { kernels: await instantiate(module, memory), ...rest };
    } else if (network) {
      runShare(network, message);
    } else {
      throw new Error('a step before the network');
    }
  };
  port.onmessageerror = () => {
    port.postMessage({ failure: 'it could not read a message' });
  };
  port.onmessage = ({ data }) => {
    answer(data).then(
      () => {
        port.postMessage({});
      },
      (error: unknown) => {
        port.postMessage({ failure: String(error) });
      },
    );
  };
}
