/** A server in a process of its own, for programs that load it. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LoadServerOptions, LoadServerReply } from './load-server.ts';

const FILE = fileURLToPath(new URL('load-server.ts', import.meta.url));

/** What a process has used. */
export interface Usage {
  cpuSeconds: number;
  rss: number;
  heap: number;
}

/** A server that is under load. */
export class LoadedServer {
  readonly #child: ChildProcess;
  readonly port: number;
  readonly voskPort: number;

  private constructor(child: ChildProcess, port: number, voskPort: number) {
    this.#child = child;
    this.port = port;
    this.voskPort = voskPort;
  }

  static async start(options: LoadServerOptions): Promise<LoadedServer> {
    const child = fork(FILE, [JSON.stringify(options)], { execArgv: ['--import', 'tsx'] });
    const reply = await answer(child);
    if (!('port' in reply)) {
      throw new Error('the server did not tell its port');
    }
    return new LoadedServer(child, reply.port, reply.voskPort);
  }

  async usage(): Promise<Usage> {
    this.#child.send({});
    const reply = await answer(this.#child);
    if ('port' in reply) {
      throw new Error('the server told its port twice');
    }
    return reply;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.disconnect();
    await ended;
  }
}

async function answer(child: ChildProcess): Promise<LoadServerReply> {
  const stop = new AbortController();
  const failed = once(child, 'exit', { signal: stop.signal }).then(() => {
    throw new Error('the server ended');
  });
  try {
    const [reply] = (await Promise.race([once(child, 'message', { signal: stop.signal }), failed])) as [
      LoadServerReply,
    ];
    return reply;
  } finally {
    stop.abort();
    failed.catch(() => undefined);
  }
}
