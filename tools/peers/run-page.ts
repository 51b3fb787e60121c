/** A page of a headless browser for the comparison: cross-origin isolated, which threads of WebAssembly need. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { basename, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'puppeteer';
import { noAdapter, type AdapterChoice } from '../../src/node/gpu.ts';
import { isSoftware } from '../../src/webgpu/device/context.ts';
import { bundlePage, launchBrowser } from '../runtime/browser.ts';
import { asError, type PageMessage } from '../runtime/page-message.ts';
import { Progress } from '../terminal.ts';

export const ONNX_RUNTIME = fileURLToPath(new URL('node_modules/onnxruntime-web/dist', import.meta.url));

/** onnxruntime-web is not bundled: it loads its WASM from beside its own script. */
const PAGE = `<!doctype html><meta charset="utf-8"><title>Rill and its peers</title>
<script type="importmap">{ "imports": { "onnxruntime-web/": "/onnxruntime-web/" } }</script>
<script type="module" src="page.js"></script>`;
const FILE_TYPES: Readonly<Record<string, string>> = { '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** A page's script, and a folder whose files it may ask for under /model. */
export interface PageScript {
  script: URL;
  folder?: string;
}

/** What a page has found, and on what. */
export interface PageOutcome {
  device: string;
  output: unknown;
}

/** A browser whose pages run one job each, and start with nothing loaded. */
export class PageRunner {
  readonly browserVersion: string;
  readonly #browser: Browser;
  readonly #server: Server;
  readonly #adapter: AdapterChoice | undefined;
  #job: object | undefined;

  private constructor(browser: Browser, version: string, adapter: AdapterChoice | undefined, files: Files) {
    this.#browser = browser;
    this.browserVersion = version;
    this.#adapter = adapter;
    this.#server = createServer((request, response) => {
      response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
      response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
      const [path] = (request.url ?? '/').split('?');
      const found = path === '/job' ? jsonOf(this.#job) : files(path);
      found.then(
        ([type, content]) => response.setHeader('Content-Type', type).end(content),
        () => response.writeHead(404).end(),
      );
    });
  }

  static async open(
    name: 'chrome' | 'firefox',
    { script: url, folder }: PageScript,
    adapter?: AdapterChoice,
  ): Promise<PageRunner> {
    const script = await bundlePage(url, [/^onnxruntime-web/]);
    const browser = await launchBrowser(name, adapter);
    const runner = new PageRunner(browser, await browser.version(), adapter, filesOf(script, folder));
    await new Promise<void>((resolve) => runner.#server.listen(0, '127.0.0.1', resolve));
    return runner;
  }

  /** Opens a page, which starts by itself, and waits for what it has found. */
  async run(job: object): Promise<PageOutcome> {
    this.#job = job;
    const progress = new Progress('measuring');
    const page = await this.#browser.newPage();
    let listen: (message: PageMessage) => void = () => undefined;
    const found = new Promise<PageOutcome>((resolve, reject) => {
      let device = '';
      listen = (message) => {
        if (message.type === 'event') {
          progress.listen(message.event);
        } else if (message.type === 'done') {
          resolve({ device, output: message.output });
        } else if (message.type === 'failed') {
          reject(asError(message));
        } else {
          device = message.device.name;
          if (this.#adapter === 'gpu' && isSoftware(device)) {
            reject(noAdapter(`only ${device}`));
          }
        }
      };
      page.on('pageerror', reject);
      page.on('error', reject);
      this.#browser.once('disconnected', () => {
        reject(new Error('the browser ended'));
      });
    });
    try {
      await page.exposeFunction('post', (message: PageMessage) => {
        listen(message);
      });
      const address = this.#server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      const [outcome] = await Promise.all([found, page.goto(`http://127.0.0.1:${port}/`)]);
      return outcome;
    } finally {
      progress.end();
      await page.close();
    }
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** What is served under a path; rejects where there is nothing. */
type Files = (path: string) => Promise<readonly [type: string, content: string | Uint8Array]>;

const jsonOf = async (value: unknown) => ['application/json', JSON.stringify(value)] as const;

/** The page, the files of onnxruntime-web and those of the model folder. */
function filesOf(script: string, folder?: string): Files {
  const made: Readonly<Record<string, readonly [type: string, content: string]>> = {
    '/': ['text/html', PAGE],
    '/page.js': ['text/javascript', script],
  };
  const folders: Readonly<Record<string, string>> = {
    '/onnxruntime-web': ONNX_RUNTIME,
    ...(folder && { '/model': folder }),
  };
  return async (path) => {
    if (Object.hasOwn(made, path)) {
      return made[path];
    }
    const file = await readFile(join(folders[dirname(path)], basename(path)));
    return [FILE_TYPES[extname(path)] ?? 'application/octet-stream', file];
  };
}
