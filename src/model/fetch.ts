import { RillError } from '../errors.ts';
import { openModel, type Model } from './model.ts';

/** Bytes of a file that have come, and bytes in all, as the server states them. */
export interface FileProgress {
  loaded: number;
  total: number;
}

/**
 * What happens while a model is loaded, in the shapes of transformers.js' progress_callback: `progress_total` counts
 * all files together, from 0 to 100, and is all that a progress bar needs. `ready` comes when there is nothing left to
 * wait for: of {@link fetchModel} with the model, of a recognizer when a stream can be fed.
 */
export type LoadEvent =
  | {
      /** A file is asked for, comes, or is there. */
      status: 'initiate' | 'download' | 'done';
      /** Address of the folder. */
      name: string;
      /** The file's name. */
      file: string;
    }
  | {
      /** A piece of a file has come. */
      status: 'progress';
      /** Address of the folder. */
      name: string;
      /** The file's name. */
      file: string;
      /** Per cent of the file, 0 to 100. */
      progress: number;
      /** Bytes that have come. */
      loaded: number;
      /** Bytes in all, as the server states them. */
      total: number;
    }
  | {
      /** The same of all files together. */
      status: 'progress_total';
      /** Address of the folder. */
      name: string;
      /** Per cent of all files, 0 to 100. */
      progress: number;
      /** Bytes that have come. */
      loaded: number;
      /** Bytes in all, as the server states them. */
      total: number;
      /** Bytes of each file by its name: those that have come, and all. */
      files: Record<
        string,
        {
          /** Bytes that have come. */
          loaded: number;
          /** Bytes in all. */
          total: number;
        }
      >;
    }
  | {
      /** Tensors are laid out for the device: what remains after them is compiling, on a GPU. */
      status: 'prepare';
      /** Address of the folder. */
      name: string;
      /** What they are for; with `auto` the GPU, as long as it is held against the CPU. */
      device: 'webgpu' | 'cpu';
      /** Tensors that are laid out. */
      loaded: number;
      /** Tensors in all. */
      total: number;
      /** Per cent, 0 to 100. */
      progress: number;
    }
  | {
      /** There is nothing left to wait for. */
      status: 'ready';
      /** Address of the folder. */
      name: string;
    };

/** How a model folder is fetched. */
export interface FetchOptions {
  /** Called as files come. */
  onProgress?: (event: LoadEvent) => void;
  /** Cancels the download; what it is aborted with is thrown. */
  signal?: AbortSignal;
  /**
   * Keeps the files in the browser's cache storage of this name; `true`, the default, is `rill-models`. A kept file
   * serves while the server states the same ETag or date for it (and is fetched again where it states neither); without
   * a network the kept folder serves as a whole. Where there is no cache storage (Node, pages without https) nothing is
   * kept.
   */
  cache?: boolean | string;
}

const DEFAULT_CACHE = 'rill-models';
const REQUIRED = ['config.json', 'model.safetensors'] as const;
const OPTIONAL = ['tokens.txt', 'keywords.txt'] as const;
/** What a server answers for a file that a folder does not have; 403 where nobody may list what there is. */
const NOT_THERE = [403, 404, 410];
/** Headers that tell one version of a file from another; a length alone does not, weights keep theirs. */
const VERSION_HEADERS = ['etag', 'last-modified'];

/**
 * Fetches a model folder: `config.json`, `model.safetensors`, and `tokens.txt` and `keywords.txt` if there are any.
 *
 * @param url of the folder
 * @throws RillError `network` when a file is missing or breaks off, `bad-model` when it does not fit; the signal's
 * reason.
 */
export async function fetchModel(url: string, options: FetchOptions = {}): Promise<Model> {
  const base = url.endsWith('/') ? url : `${url}/`;
  const { signal, onProgress } = options;
  const cache = await openCache(options.cache ?? true);
  let files;
  try {
    files = await new Download(base, options, cache).all();
  } catch (error) {
    signal?.throwIfAborted();
    const unreachable = error instanceof RillError && error.cause !== undefined;
    // Kept files serve as a whole or not at all: config and weights of two versions do not go together.
    files = unreachable ? await keptFiles(base, cache) : undefined;
    if (!files) {
      throw error;
    }
  }
  const text = (name: string) => {
    const bytes = files.get(name)?.bytes;
    return bytes && new TextDecoder().decode(bytes);
  };
  const [tokens, keywords] = [text('tokens.txt'), text('keywords.txt')];
  const model = openModel({
    'config.json': text('config.json') ?? '',
    'model.safetensors': files.get('model.safetensors')?.bytes ?? new Uint8Array(0),
    ...(tokens !== undefined && { 'tokens.txt': tokens }),
    ...(keywords !== undefined && { 'keywords.txt': keywords }),
  });
  await keepFiles(base, cache, files);
  onProgress?.({ status: 'ready', name: url });
  return model;
}

/** The files of a folder by name. */
type Files = Map<string, { bytes: Uint8Array<ArrayBuffer>; headers?: Headers }>;

/** What the cache has of a folder, if it has the whole. */
async function keptFiles(base: string, cache: Cache | undefined): Promise<Files | undefined> {
  const files: Files = new Map();
  for (const file of [...REQUIRED, ...OPTIONAL]) {
    const kept = await cache?.match(base + file);
    if (kept) {
      files.set(file, { bytes: new Uint8Array(await kept.arrayBuffer()) });
    }
  }
  return REQUIRED.every((file) => files.has(file)) ? files : undefined;
}

/** Keeps files that proved to be a model. The config goes first and comes last: without it the others do not count. */
async function keepFiles(base: string, cache: Cache | undefined, files: Files): Promise<void> {
  const fresh = [...files].filter(([, { headers }]) => headers);
  if (!cache) {
    return;
  }
  const config = files.get('config.json');
  try {
    // A folder may have lost a file: with the others of another version it would be misread.
    for (const gone of OPTIONAL.filter((file) => !files.has(file))) {
      await cache.delete(base + gone);
    }
    if (fresh.length === 0) {
      return;
    }
    const keptConfig = await cache.match(`${base}config.json`);
    await cache.delete(`${base}config.json`);
    for (const [file, { bytes, headers }] of fresh.filter(([name]) => name !== 'config.json')) {
      await cache.put(base + file, new Response(bytes, { headers }));
    }
    const response = config?.headers ? new Response(config.bytes, { headers: config.headers }) : keptConfig;
    if (response) {
      await cache.put(`${base}config.json`, response);
    }
  } catch {
    // Storage may be full or denied: then the files are fetched again next time.
  }
}

async function openCache(cache: boolean | string): Promise<Cache | undefined> {
  if (cache === false || typeof caches === 'undefined') {
    return undefined;
  }
  // Pages may be denied storage (private windows, settings): loading goes on without.
  return caches.open(cache === true ? DEFAULT_CACHE : cache).catch(() => undefined);
}

/** Takes a body that nobody wants, even an empty one: Chrome reports a request as failed whose body is never read. */
async function readAway(response: Response): Promise<void> {
  await response.arrayBuffer().catch(() => undefined);
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
  readonly #onProgress: FetchOptions['onProgress'];
  readonly #cache: Cache | undefined;
  readonly #files: Record<string, FileProgress> = {};
  /** Ends what is still on its way when one file fails. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(base: string, { onProgress, signal }: FetchOptions, cache: Cache | undefined) {
    this.#base = base;
    this.#onProgress = onProgress;
    this.#cache = cache;
    this.#signal = signal ? AbortSignal.any([signal, this.#failed.signal]) : this.#failed.signal;
  }

  /** @throws RillError `network`, with a cause where no answer came, or not the whole. */
  async all(): Promise<Files> {
    try {
      // All headers first: the total is known before the first byte counts.
      const opening = [
        ...REQUIRED.map((file) => this.#open(file, true)),
        ...OPTIONAL.map((file) => this.#open(file, false)),
      ];
      // Where several fail, for one reason most likely, the error names a file that must be there.
      const opened = await Promise.allSettled(opening);
      const failed = opened.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') {
        throw failed.reason;
      }
      const files = opened.flatMap((each) => (each.status === 'fulfilled' && each.value) || []);
      const read = await Promise.all(files.map(async (each) => [each.file, await this.#read(each)] as const));
      return new Map(read);
    } catch (error) {
      this.#failed.abort();
      throw error;
    }
  }

  async #open(file: string, required: boolean): Promise<OpenFile | undefined> {
    const { response, kept } = await this.#request(file);
    // A development server answers a missing file with its index page.
    const isPage = response.headers.get('content-type')?.includes('text/html') ?? false;
    if (!required && ((isPage && response.ok) || NOT_THERE.includes(response.status))) {
      await readAway(response);
      return undefined;
    }
    if (!response.ok || isPage) {
      throw this.#bad(file, response.ok ? 'a web page' : `status ${response.status}`);
    }
    this.#files[file] = { loaded: 0, total: Number(response.headers.get('content-length')) || 0 };
    return { file, response, kept };
  }

  /** The whole of a file, counted as it comes. */
  async #read({ file, response, kept }: OpenFile) {
    const name = this.#base;
    const parts: Uint8Array<ArrayBuffer>[] = [];
    this.#onProgress?.({ status: 'download', name, file });
    try {
      const reader = response.body?.getReader();
      for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
        parts.push(part.value);
        this.#count(file, part.value.length);
      }
    } catch (cause) {
      throw this.#bad(file, `a download that broke off (${String(cause)})`, cause);
    }
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    this.#onProgress?.({ status: 'done', name, file });
    return { bytes, headers: kept ? undefined : response.headers };
  }

  #count(file: string, bytes: number): void {
    const each = this.#files[file];
    each.loaded += bytes;
    // A server that compresses states fewer bytes than come.
    each.total = Math.max(each.total, each.loaded);
    const share = ({ loaded, total }: FileProgress) => ({ progress: (100 * loaded) / total, loaded, total });
    this.#onProgress?.({ status: 'progress', name: this.#base, file, ...share(each) });
    const all = Object.values(this.#files).reduce((sum, { loaded, total }) => ({
      loaded: sum.loaded + loaded,
      total: sum.total + total,
    }));
    const files = structuredClone(this.#files);
    this.#onProgress?.({ status: 'progress_total', name: this.#base, ...share(all), files });
  }

  /** The kept file while the server states the same version of it, else the server's. */
  async #request(file: string): Promise<{ response: Response; kept: boolean }> {
    this.#signal.throwIfAborted();
    this.#onProgress?.({ status: 'initiate', name: this.#base, file });
    const url = this.#base + file;
    const kept = await this.#cache?.match(url);
    try {
      if (kept) {
        const head = await fetch(url, { method: 'HEAD', signal: this.#signal });
        await readAway(head);
        const versions = VERSION_HEADERS.map((header) => [head.headers.get(header), kept.headers.get(header)]);
        const stated = versions.some(([now]) => now !== null);
        if (head.ok && stated && versions.every(([now, then]) => now === then)) {
          return { response: kept, kept: true };
        }
      }
      return { response: await fetch(url, { signal: this.#signal }), kept: false };
    } catch (cause) {
      throw this.#bad(file, String(cause), cause);
    }
  }

  #bad(file: string, got: string, cause?: unknown): RillError {
    return new RillError(
      'network',
      {
        got: `${got} for ${this.#base}${file}`,
        expected: 'a model folder with config.json and model.safetensors',
        remedy:
          'Check the address of the model folder and the network; another origin must allow this one (Access-Control-Allow-Origin).',
      },
      cause === undefined ? undefined : { cause },
    );
  }
}
