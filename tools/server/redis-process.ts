import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { RillError } from '../../src/errors.ts';

/** A Redis of one's own, that keeps nothing on disk. */
export interface RedisProcess {
  url: string;
  stop(): Promise<void>;
}

/** Starts `redis-server`, which has to be installed. @throws RillError `bad-argument` where it is not there. */
export async function startRedis(): Promise<RedisProcess> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await Promise.race([untilReady(child), failed(child)]);
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) {
        await once(child, 'exit');
      }
    },
  };
}

async function untilReady({ stdout }: ChildProcess): Promise<void> {
  if (!stdout) {
    return;
  }
  for await (const line of createInterface({ input: stdout })) {
    if (line.includes('Ready to accept connections')) {
      stdout.resume();
      return;
    }
  }
}

async function failed(child: ChildProcess): Promise<never> {
  const cause: unknown = await new Promise((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code) => {
      resolve(new Error(`exit status ${code}`));
    });
  });
  throw new RillError('bad-argument', {
    got: `no redis-server (${String(cause)})`,
    expected: 'the command redis-server',
    remedy: 'Install it, as npm run setup -- --servers does on Debian, or give the address of one that runs.',
  });
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
