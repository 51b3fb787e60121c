import { createServer, type Server } from 'node:http';
import { RillError } from '../errors.ts';

/** @throws RillError `bad-argument` for a port that cannot be had. */
export async function listen(server: Server, port: number, host: string | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const complaint = {
        got: `port ${port}, which cannot be listened at (${cause.message})`,
        expected: 'a free port',
        remedy: 'Choose another, or end what listens there.',
      };
      reject(new RillError('bad-argument', complaint, { cause }));
    });
    server.listen({ port, host }, resolve);
  });
}

/** Whether a port is free. @param host the address to listen at; all of the machine by default */
export async function canListen(port: number, host?: string): Promise<boolean> {
  const server = createServer();
  try {
    await listen(server, port, host);
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** The port that a server listens at. */
export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
