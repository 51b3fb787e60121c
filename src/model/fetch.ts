import { RillError } from '../errors.ts';
import { openModel, type Model } from './model.ts';

/** Bytes of a file that have come, and bytes in all, as the server states them. */
export interface FileProgress {
  loaded: number;
  total: number;
}

/**
 * What happens while a model is loaded, in the shapes of transformers.js' progress_callback: `progress_total` counts
 * all files together, from 0 to 100, and is all that a progress bar needs.
 */
export type LoadEvent =
  | { status: 'initiate' | 'download' | 'done'; name: string; file: string }
  | ({ status: 'progress'; name: string; file: string; progress: number } & FileProgress)
  | ({ status: 'progress_total'; name: string; progress: number; files: Record<string, FileProgress> } & FileProgress)
  | { status: 'ready'; name: string };

export interface FetchOptions {
  onProgress?: (event: LoadEvent) => void;
  /** Cancels the download; what it is aborted with is thrown. */
  signal?: AbortSignal;
  /**
   * Keeps the files in the browser's cache storage of this name; `true`, the default, is `rill-models`. A file that
   * the server has changed is fetched again; without a network the kept one serves. Where there is no cache storage
   * (Node, pages without https) nothing is kept.
   */
  cache?: boolean | string;
}

const DEFAULT_CACHE = 'rill-models';
const REQUIRED = ['config.json', 'model.safetensors'] as const;
const OPTIONAL = ['tokens.txt', 'keywords.txt'] as const;
/** Headers that tell one version of a file from another. */
const VERSION_HEADERS = ['etag', 'last-modified', 'content-length'];

/**
 * Fetches a model folder: `config.json`, `model.safetensors`, and `tokens.txt` and `keywords.txt` if there are any.
 *
 * @param url of the folder
 * @throws RillError `bad-model` when a file is missing, breaks off or does not fit; the signal's reason.
 */
export async function fetchModel(url: string, options: FetchOptions = {}): Promise<Model> {
  const base = url.endsWith('/') ? url : `${url}/`;
  const download = new Download(base, options, await openCache(options.cache ?? true));
  // All headers first: the total is known before the first byte counts.
  const [responses, extra] = await Promise.all([
    Promise.all(REQUIRED.map((file) => download.open(file))),
    Promise.all(OPTIONAL.map((file) => download.openOptional(file))),
  ]);
  const [config, weights] = await Promise.all(responses.map((opened) => download.read(opened)));
  const [tokens, keywords] = await Promise.all(extra.map(async (opened) => opened && download.read(opened)));
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const model = openModel({
    'config.json': text(config),
    'model.safetensors': weights,
    ...(tokens && { 'tokens.txt': text(tokens) }),
    ...(keywords && { 'keywords.txt': text(keywords) }),
  });
  options.onProgress?.({ status: 'ready', name: url });
  return model;
}

async function openCache(cache: boolean | string): Promise<Cache | undefined> {
  if (cache === false || typeof caches === 'undefined') {
    return undefined;
  }
  // Pages may be denied storage (private windows, settings): loading goes on without.
  return caches.open(cache === true ? DEFAULT_CACHE : cache).catch(() => undefined);
}

/** A file whose headers are there. */
interface OpenFile {
  file: string;
  response: Response;
  kept: boolean;
}

/** The files of one folder on their way, counted together. */
class Download {
  readonly #base: string;
  readonly #options: FetchOptions;
  readonly #cache: Cache | undefined;
  readonly #files: Record<string, FileProgress> = {};

  constructor(base: string, options: FetchOptions, cache: Cache | undefined) {
    this.#base = base;
    this.#options = options;
    this.#cache = cache;
  }

  async open(file: string): Promise<OpenFile> {
    const response = await this.#request(file);
    if (!response.ok) {
      throw this.#bad(file, `status ${response.status}`);
    }
    return this.#opened(file, response);
  }

  async openOptional(file: string): Promise<OpenFile | undefined> {
    const response = await this.#request(file);
    // A development server answers a missing file with its index page.
    const isPage = response.headers.get('content-type')?.includes('text/html');
    return response.ok && !isPage ? this.#opened(file, response) : undefined;
  }

  /** The whole of a file, counted as it comes and kept once it is there. */
  async read({ file, response, kept }: OpenFile): Promise<Uint8Array<ArrayBuffer>> {
    const { onProgress } = this.#options;
    const name = this.#base;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    onProgress?.({ status: 'download', name, file });
    try {
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        parts.push(part.value);
        this.#count(file, part.value.length);
      }
    } catch (cause) {
      this.#options.signal?.throwIfAborted();
      throw this.#bad(file, `a download that broke off (${String(cause)})`, cause);
    }
    const blob = new Blob(parts);
    if (!kept) {
      await this.#keep(file, new Response(blob, { headers: response.headers }));
    }
    onProgress?.({ status: 'done', name, file });
    return new Uint8Array(await blob.arrayBuffer());
  }

  #opened(file: string, response: Response): OpenFile {
    this.#files[file] = { loaded: 0, total: Number(response.headers.get('content-length')) || 0 };
    return { file, response, kept: response.headers.has('x-rill-kept') };
  }

  #count(file: string, bytes: number): void {
    const { onProgress } = this.#options;
    const each = this.#files[file];
    each.loaded += bytes;
    // A server that compresses states fewer bytes than come.
    each.total = Math.max(each.total, each.loaded);
    const share = ({ loaded, total }: FileProgress) => ({ progress: (100 * loaded) / total, loaded, total });
    onProgress?.({ status: 'progress', name: this.#base, file, ...share(each) });
    const all = Object.values(this.#files).reduce((sum, { loaded, total }) => ({
      loaded: sum.loaded + loaded,
      total: sum.total + total,
    }));
    onProgress?.({ status: 'progress_total', name: this.#base, ...share(all), files: structuredClone(this.#files) });
  }

  /** The kept file when the server still has the same one, or cannot be reached; else the server's. */
  async #request(file: string): Promise<Response> {
    const { signal, onProgress } = this.#options;
    signal?.throwIfAborted();
    onProgress?.({ status: 'initiate', name: this.#base, file });
    const url = this.#base + file;
    const kept = await this.#cache?.match(url);
    try {
      if (kept) {
        const head = await fetch(url, { method: 'HEAD', signal });
        const same = VERSION_HEADERS.every((header) => head.headers.get(header) === kept.headers.get(header));
        if (head.ok && same) {
          return markKept(kept);
        }
      }
      return await fetch(url, { signal });
    } catch (cause) {
      signal?.throwIfAborted();
      if (kept) {
        return markKept(kept);
      }
      throw this.#bad(file, String(cause), cause);
    }
  }

  /** Storage may be full: then the file is fetched again next time. */
  async #keep(file: string, response: Response): Promise<void> {
    await this.#cache?.put(this.#base + file, response).catch(() => undefined);
  }

  #bad(file: string, got: string, cause?: unknown): RillError {
    return new RillError(
      'bad-model',
      {
        got: `${got} for ${this.#base}${file}`,
        expected: 'a model folder with config.json and model.safetensors',
        remedy: 'Check the address of the model folder, and the network.',
      },
      { cause },
    );
  }
}

function markKept(response: Response): Response {
  const headers = new Headers(response.headers);
  headers.set('x-rill-kept', '1');
  return new Response(response.body, { headers });
}
