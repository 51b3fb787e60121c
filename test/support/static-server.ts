import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
};

/** A folder behind HTTP, as any server of files gives it out. */
export interface StaticServer {
  /** With a slash at its end. */
  url: string;
  /** Method and path of what was asked for, in order; a test may empty it. */
  requests: string[];
  /** Once only. */
  close: () => void;
}

/**
 * Serves files at a free port of this machine.
 *
 * @param files the file of a path such as `/page.html`, or its text
 * @param headers of every answer
 */
export async function serveFiles(
  files: (path: string) => string | Uint8Array | URL | undefined,
  headers: Readonly<Record<string, string>> = {},
): Promise<StaticServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
      requests.push(`${request.method} ${path}`);
      const file = files(path);
      const body = file instanceof URL ? await readFile(file).catch(() => undefined) : file;
      if (body === undefined) {
        response.writeHead(404, headers).end('not here');
        return;
      }
      const bytes = Buffer.from(body);
      response.writeHead(200, {
        ...headers,
        'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
        'content-length': bytes.length,
        etag: `"${bytes.length}"`,
      });
      response.end(request.method === 'HEAD' ? undefined : bytes);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
