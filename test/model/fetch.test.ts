import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchModel, type LoadEvent } from '../../src/model/fetch.ts';
import type { ModelFiles } from '../../src/model/model.ts';
import { failure } from '../support/failure.ts';
import { goldenModel } from '../support/fixtures.ts';

/** A cache storage in memory, as far as fetchModel uses one. */
function memoryCaches() {
  const kept = new Map<string, Response>();
  const cache = {
    match: async (url: string) => kept.get(url)?.clone(),
    put: async (url: string, response: Response) => void kept.set(url, response),
    delete: async (url: string) => kept.delete(url),
  };
  return { kept, caches: { open: async () => cache } };
}

describe('fetchModel', () => {
  let server: Server;
  let url: string;
  let files: ModelFiles;
  let requests: string[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;

  const send = (request: IncomingMessage, response: ServerResponse) => {
    const name = request.url?.split('/').pop() ?? '';
    const file = new Map<string, string | Uint8Array | undefined>(Object.entries(files)).get(name);
    requests.push(`${request.method} ${name}`);
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const bytes = typeof file === 'string' ? new TextEncoder().encode(file) : file;
    response.writeHead(200, { 'content-length': bytes.length, etag: `"${bytes.length}"` });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  };

  beforeEach(async () => {
    files = await goldenModel('odd');
    requests = [];
    answer = send;
    server = createServer((request, response) => {
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/model`;
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    server.closeAllConnections();
    server.close();
  });

  it('loads a folder and tells how far it is, all files together', async () => {
    const events: LoadEvent[] = [];
    const model = await fetchModel(url, { onProgress: (event) => events.push(event) });
    expect(model.sizes.encoder.dModel).toBe(50);
    const total = files['config.json'].length + files['model.safetensors'].length;
    const totals = events.filter((event) => event.status === 'progress_total');
    expect(totals.every((event) => event.total === total)).toBe(true);
    const loaded = totals.map((event) => event.loaded);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
    expect(totals[totals.length - 1]).toMatchObject({ loaded: total, progress: 100 });
    expect(Object.keys(totals[0].files).sort()).toEqual(['config.json', 'model.safetensors']);
    expect(events[events.length - 1]).toEqual({ status: 'ready', name: url });
    const ofConfig = events.filter((event) => 'file' in event && event.file === 'config.json');
    expect(ofConfig.map(({ status }) => status)).toEqual(['initiate', 'download', 'progress', 'done']);
  });

  it('takes kept files while the server has the same, and when it cannot be reached', async () => {
    const { caches, kept } = memoryCaches();
    vi.stubGlobal('caches', caches);
    await fetchModel(url);
    expect([...kept.keys()].map((each) => each.split('/').pop()).sort()).toEqual(['config.json', 'model.safetensors']);
    requests = [];
    await fetchModel(url);
    expect(requests.filter((request) => request.startsWith('GET')).sort()).toEqual([
      'GET keywords.txt',
      'GET tokens.txt',
    ]);
    requests = [];
    files = { ...files, 'config.json': `${files['config.json']} ` };
    await fetchModel(url);
    expect(requests).toContain('GET config.json');
    expect(requests).not.toContain('GET model.safetensors');
    requests = [];
    await fetchModel(url, { cache: false });
    expect(requests).toContain('GET model.safetensors');
  });

  it('never serves config and weights of two versions, nor what proved to be no model', async () => {
    const { caches, kept } = memoryCaches();
    vi.stubGlobal('caches', caches);
    await fetchModel(url);
    const first = files;
    files = { ...files, 'config.json': `${files['config.json']} ` };
    answer = (request, response) => {
      if (request.url?.endsWith('model.safetensors')) {
        response.destroy();
      } else {
        send(request, response);
      }
    };
    // The weights cannot be reached: the kept folder serves, as a whole.
    await fetchModel(url);
    expect(await kept.get(`${url}/config.json`)?.clone().text()).toBe(first['config.json']);
    answer = send;
    files = { ...files, 'model.safetensors': new TextEncoder().encode('<html>not found</html>') };
    await failure('bad-model', () => fetchModel(url));
    expect((await kept.get(`${url}/model.safetensors`)?.clone().arrayBuffer())?.byteLength).toBe(
      first['model.safetensors'].length,
    );
  });

  it('does not serve a file that the folder no longer has', async () => {
    const { caches, kept } = memoryCaches();
    vi.stubGlobal('caches', caches);
    files = { ...files, 'keywords.txt': '' };
    await fetchModel(url);
    expect(kept.has(`${url}/keywords.txt`)).toBe(true);
    files = { 'config.json': files['config.json'], 'model.safetensors': files['model.safetensors'] };
    await fetchModel(url);
    expect([...kept.keys()].map((each) => each.split('/').pop()).sort()).toEqual(['config.json', 'model.safetensors']);
    server.close();
    server.closeAllConnections();
    expect((await fetchModel(url)).keywords).toBeUndefined();
  });

  it.each([
    [403, 'loaded'],
    [404, 'loaded'],
    [410, 'loaded'],
    [200, 'loaded'],
    [503, 'network'],
  ])('takes an answer of %i for a file that need not be there: %s', async (status, outcome) => {
    answer = (request, response) => {
      if (request.url?.endsWith('.txt')) {
        response.writeHead(status, { 'content-type': 'text/html' }).end('<html>');
      } else {
        send(request, response);
      }
    };
    const loading = fetchModel(url).then(
      () => 'loaded',
      ({ code }: { code: string }) => code,
    );
    expect(await loading).toBe(outcome);
  });

  it('fetches again what the server states no version of', async () => {
    const { caches } = memoryCaches();
    vi.stubGlobal('caches', caches);
    answer = (request, response) => {
      response.setHeader = () => response;
      const writeHead = response.writeHead.bind(response);
      response.writeHead = ((status: number, headers: Record<string, unknown> = {}) => {
        delete headers.etag;
        return writeHead(status, headers as Record<string, string>);
      }) as typeof response.writeHead;
      send(request, response);
    };
    await fetchModel(url);
    requests = [];
    await fetchModel(url);
    expect(requests).toContain('GET model.safetensors');
  });

  it('fetches again what has another date, and what the server will not tell of', async () => {
    const { caches } = memoryCaches();
    vi.stubGlobal('caches', caches);
    let date = 'Mon, 01 Jan 2024 00:00:00 GMT';
    let headStatus = 200;
    answer = (request, response) => {
      const file = request.url?.endsWith('config.json')
        ? files['config.json']
        : request.url?.endsWith('.safetensors')
          ? files['model.safetensors']
          : undefined;
      requests.push(`${request.method} ${request.url?.split('/').pop()}`);
      const status = file === undefined ? 404 : request.method === 'HEAD' ? headStatus : 200;
      response.writeHead(status, { 'last-modified': date });
      response.end(request.method === 'HEAD' ? undefined : file);
    };
    const fetched = async () => {
      requests = [];
      await fetchModel(url);
      return requests.includes('GET model.safetensors');
    };
    expect([await fetched(), await fetched()]).toEqual([true, false]);
    date = 'Tue, 02 Jan 2024 00:00:00 GMT';
    expect([await fetched(), await fetched()]).toEqual([true, false]);
    headStatus = 405;
    expect(await fetched()).toBe(true);
  });

  it('counts a compressed file as what comes of it', async () => {
    answer = (request, response) => {
      const file = request.url?.endsWith('config.json') ? files['config.json'] : undefined;
      if (!file) {
        send(request, response);
        return;
      }
      const bytes = gzipSync(file);
      expect(bytes.length).toBeLessThan(file.length);
      response.writeHead(200, { 'content-length': bytes.length, 'content-encoding': 'gzip' }).end(bytes);
    };
    const events: LoadEvent[] = [];
    await fetchModel(url, { onProgress: (event) => events.push(event) });
    const shares = events.flatMap((event) => ('progress' in event ? [event.progress] : []));
    expect(Math.max(...shares)).toBe(100);
  });

  it('serves nothing without a network where keeping broke off half-way', async () => {
    const { caches, kept } = memoryCaches();
    vi.stubGlobal('caches', caches);
    await fetchModel(url);
    files = { ...files, 'config.json': `${files['config.json']} ` };
    const cache = await caches.open();
    vi.spyOn(cache, 'put').mockRejectedValue(new Error('no room'));
    await fetchModel(url);
    expect(kept.has(`${url}/config.json`)).toBe(false);
    server.close();
    server.closeAllConnections();
    await failure('network', () => fetchModel(url));
  });

  it('ends the other downloads when one fails', async () => {
    let ended: () => void;
    const closed = new Promise<void>((resolve) => (ended = resolve));
    answer = (request, response) => {
      if (request.url?.endsWith('model.safetensors')) {
        response.on('close', () => ended());
        response.writeHead(200, { 'content-length': 1e6 });
        response.write(new Uint8Array(1000));
      } else if (request.url?.endsWith('config.json')) {
        response.writeHead(200, { 'content-length': 1000 });
        response.write('{', () => setTimeout(() => response.destroy(), 50));
      } else {
        send(request, response);
      }
    };
    await failure('network', () => fetchModel(url));
    await closed;
  });

  it('is cancelled by its signal, with the reason, and keeps nothing half', async () => {
    const { caches, kept } = memoryCaches();
    vi.stubGlobal('caches', caches);
    const controller = new AbortController();
    const reason = new Error('enough');
    answer = (request, response) => {
      if (request.url?.endsWith('model.safetensors')) {
        response.writeHead(200, { 'content-length': files['model.safetensors'].length });
        response.write(files['model.safetensors'].subarray(0, 1000));
      } else {
        send(request, response);
      }
    };
    const loading = fetchModel(url, {
      signal: controller.signal,
      onProgress: (event) => {
        if (event.status === 'progress' && event.file === 'model.safetensors') {
          controller.abort(reason);
        }
      },
    });
    await expect(loading).rejects.toBe(reason);
    expect([...kept.keys()].some((each) => each.endsWith('model.safetensors'))).toBe(false);
    await expect(fetchModel(url, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('names the file that is missing, and the download that broke off', async () => {
    answer = (request, response) => {
      if (request.url?.endsWith('model.safetensors')) {
        response.writeHead(404).end();
      } else {
        send(request, response);
      }
    };
    expect(await failure('network', () => fetchModel(url))).toMatch(/status 404 for .*model\.safetensors/);
    answer = (request, response) => {
      if (request.url?.endsWith('model.safetensors')) {
        response.writeHead(200, { 'content-length': 100000 });
        response.write(new Uint8Array(10), () => response.destroy());
      } else {
        send(request, response);
      }
    };
    expect(await failure('network', () => fetchModel(url))).toContain('a download that broke off');
    server.close();
    server.closeAllConnections();
    expect(await failure('network', () => fetchModel(url))).toContain('config.json');
  });
});
