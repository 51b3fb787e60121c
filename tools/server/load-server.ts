/** The server that `npm run bench:server` loads, in a process of its own: tells its port, and what it has used. */
import { RillServer } from '../../src/server/index.ts';
import { openNodeEngine, openModelFolder } from '../../src/node/index.ts';
import { FULL_SIZE } from '../commands/arguments.ts';
import { madeUpTokens, randomModel } from '../runtime/random-model.ts';

/** What it is started with, and what it answers: to each message what it has used so far. */
export interface LoadServerOptions {
  /** A model folder; the full size with random weights where there is none. */
  folder?: string;
  dtype?: 'f32' | 'int8';
  threads: number;
  maxSessions: number;
}
export type LoadServerReply = { voskPort: number; port: number } | { cpuSeconds: number; rss: number; heap: number };

const VOCABULARY = 500;

const options = JSON.parse(process.argv[2]) as LoadServerOptions;
const model = options.folder
  ? await openModelFolder(options.folder)
  : { ...randomModel(FULL_SIZE, VOCABULARY), tokens: madeUpTokens(VOCABULARY) };
const quiet = { info: () => undefined, warn: () => undefined, error: console.error };
const server = await RillServer.start({
  model,
  openEngine: () => openNodeEngine({ device: 'cpu', threads: options.threads }),
  recognizer: { dtype: options.dtype ?? 'auto' },
  host: '127.0.0.1',
  ...{ port: 0, voskPort: 0, log: quiet },
  limits: { maxSessions: options.maxSessions },
});
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rss, heap: heapUsed } satisfies LoadServerReply);
});
process.once('disconnect', () => process.exit(0));
process.send?.({ port: server.port, voskPort: server.voskPort ?? 0 } satisfies LoadServerReply);
