import { AsyncResource } from 'node:async_hooks';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'puppeteer';
import type { DeviceName } from '../../src/engine.ts';
import { RillError } from '../../src/errors.ts';
import { findChrome, findFirefox } from '../../src/node/browsers.mjs';
import { EXACT_TIMESTAMPS, mayHaveGpu, noAdapter, type AdapterChoice } from '../../src/node/gpu.ts';
import { isSoftware } from '../../src/webgpu/device/context.ts';
import { AudioSource } from './audio-source.ts';
import { pack, unpack } from './envelope.ts';
import type { JobEvent } from './jobs.ts';
import { asError, type PageMessage } from './page-message.ts';
import type { Runtime } from './runtime.ts';

/** How long a browser may take to open its GPU device. */
const START_TIMEOUT_MS = 60_000;

const PAGE = '<!doctype html><meta charset="utf-8"><title>Rill</title><script type="module" src="page.js"></script>';

/** @returns a handler of the failure to import a package that rill does not bring along */
const missing = (name: string) => (cause: unknown) => {
  throw new RillError(
    'bad-argument',
    {
      got: `no package ${name} (${cause instanceof Error ? cause.message : String(cause)})`,
      expected: 'puppeteer and vite beside rill, for a browser',
      remedy: 'npm install puppeteer vite, or use --runtime node.',
    },
    { cause },
  );
};

/** A page's script in one file, made on the spot; modules that match `external` are left for the page to find. */
export async function bundlePage(page: URL, external: RegExp[] = []): Promise<string> {
  const { build } = await import('vite').catch(missing('vite'));
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('../..', import.meta.url)),
    build: {
      write: false,
      target: 'esnext',
      minify: false,
      modulePreload: false,
      rollupOptions: { input: fileURLToPath(page), external, output: { codeSplitting: false } },
    },
  });
  const [bundle] = [result].flat();
  const chunk = 'output' in bundle ? bundle.output.find((output) => output.type === 'chunk') : undefined;
  if (!chunk || chunk.type !== 'chunk') {
    throw new Error('vite gave no script for the page');
  }
  return chunk.code;
}

/** What WebGPU finds in a browser; `none` is one without an adapter, as many are. */
export type BrowserAdapter = AdapterChoice | 'none';

/** Flags for WebGPU in a headless Chrome, and against whatever phones home. */
export function chromeArguments(adapter?: BrowserAdapter): string[] {
  return [
    // Chrome refuses its sandbox to root, as in containers; only pages of this machine are opened.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ...adapterArguments(adapter),
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
    '--disable-quic',
  ];
}

function adapterArguments(adapter: BrowserAdapter | undefined): string[] {
  if (adapter === 'none') {
    return ['--disable-gpu'];
  }
  const software = adapter === 'software' || (adapter === undefined && !mayHaveGpu());
  return [
    '--enable-unsafe-webgpu',
    EXACT_TIMESTAMPS,
    ...(software ? ['--use-webgpu-adapter=swiftshader'] : ['--enable-features=Vulkan']),
  ];
}

/** Starts a headless browser, Firefox on whatever Vulkan driver it finds; with `none` it has no WebGPU. */
export async function launchBrowser(
  name: 'chrome' | 'firefox',
  adapter?: BrowserAdapter,
  extraArguments: string[] = [],
): Promise<Browser> {
  if (name === 'firefox' && adapter !== undefined && adapter !== 'none') {
    throw new RillError('bad-argument', {
      got: `the ${adapter} adapter in Firefox`,
      expected: 'whichever it finds: it cannot be told which to take',
      remedy: 'Leave --adapter out, or use --runtime chrome.',
    });
  }
  const executablePath = name === 'chrome' ? findChrome() : findFirefox();
  if (!executablePath) {
    throw new RillError('no-webgpu', {
      got: `no ${name} on this machine`,
      expected: 'a browser with WebGPU',
      remedy:
        name === 'chrome'
          ? 'Run npm run setup, or set CHROME_PATH to a Chrome or Chromium.'
          : 'Install Firefox, or set FIREFOX_PATH to one.',
    });
  }
  const { launch } = await import('puppeteer').catch(missing('puppeteer'));
  return launch({
    browser: name,
    executablePath,
    headless: true,
    ...(name === 'chrome'
      ? { args: [...chromeArguments(adapter), ...extraArguments] }
      : {
          extraPrefsFirefox: { 'dom.webgpu.enabled': adapter !== 'none', 'gfx.webgpu.ignore-blocklist': true },
        }),
  });
}

/** What the page is told to open. */
interface PageDevice {
  device: DeviceName;
  /** On the CPU. */
  threads: number;
}

/** A page whose threads may share memory; others are as pages mostly are. */
const ISOLATED = [
  ['cross-origin-opener-policy', 'same-origin'],
  ['cross-origin-embedder-policy', 'require-corp'],
] as const;

/**
 * Opens a headless browser with a page that runs jobs. Page and server talk over HTTP on the loopback address:
 * the page asks for its next job, and posts what it has to say.
 */
export async function openBrowserRuntime(
  name: 'chrome' | 'firefox',
  { device, threads }: PageDevice,
  adapter?: AdapterChoice,
): Promise<Runtime> {
  const source = import.meta.url.endsWith('.ts') ? 'page.ts' : 'page.js';
  const script = await bundlePage(new URL(source, import.meta.url));
  let waiting: ServerResponse | undefined;
  let job: Uint8Array | undefined;
  let audio: AudioSource | undefined;
  let onMessage: (message: PageMessage) => void = () => undefined;
  let fail: () => void = () => undefined;

  const deliver = () => {
    if (waiting && job) {
      waiting.end(job);
      waiting = job = undefined;
    }
  };
  const server = createServer((request, response) => {
    if (request.url === '/') {
      response.setHeaders(new Map([['content-type', 'text/html'], ...(threads > 1 ? ISOLATED : [])])).end(PAGE);
    } else if (request.url === '/page.js') {
      response.setHeader('content-type', 'text/javascript').end(script);
    } else if (request.url === '/job') {
      waiting = response;
      deliver();
    } else if (request.url === '/audio') {
      const piece = audio?.next() ?? Promise.resolve(new Uint8Array(0));
      void piece.then((bytes) => response.end(bytes));
    } else if (request.url === '/message') {
      // A page that goes away in the middle of a message is noticed below.
      readBody(request).then(
        (body) => {
          response.end();
          onMessage(unpack(body) as PageMessage);
        },
        () => undefined,
      );
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;

  const browser = await launchBrowser(name, adapter).catch((error: unknown) => {
    server.close();
    throw error;
  });
  browser.once('disconnected', () => {
    fail();
  });
  const close = async () => {
    fail = () => undefined;
    await browser.close();
    server.closeAllConnections();
    server.close();
  };

  /** The next message that ends something; events go to `onEvent`. */
  const answer = (onEvent: (event: JobEvent) => void) =>
    new Promise<PageMessage>((resolve, reject) => {
      fail = () => {
        reject(
          new RillError('device-lost', {
            got: `${name} whose page ended`,
            expected: 'a running browser',
            remedy: 'Run the command again; if it recurs, use fewer or shorter inputs.',
          }),
        );
      };
      onMessage = (message) => {
        if (message.type === 'event') {
          onEvent(message.event);
        } else {
          resolve(message);
        }
      };
    });

  let timeout: NodeJS.Timeout | undefined;
  try {
    timeout = setTimeout(() => {
      onMessage({ type: 'failed', message: `${name} did not open a GPU device within ${START_TIMEOUT_MS / 1000} s` });
    }, START_TIMEOUT_MS);
    const started = answer(() => undefined);
    const page = await browser.newPage();
    // The renderer's own end: out of memory, a crash.
    page.on('error', () => {
      fail();
    });
    page.on('pageerror', (error) => onMessage({ type: 'failed', message: String(error) }));
    await page.goto(`http://127.0.0.1:${port}/#${device}.${threads}`);
    const first = await started;
    if (first.type !== 'ready') {
      throw asError(first);
    }
    if (adapter === 'gpu' && isSoftware(first.device.name)) {
      throw noAdapter(`only ${first.device.name}`);
    }
    return {
      name,
      device: first.device,
      async run(jobName, input, onEvent = () => undefined) {
        const finished = answer(AsyncResource.bind(onEvent));
        // Sound that comes piece by piece is asked for by the page; all else travels with the job.
        audio = 'audio' in input ? new AudioSource(input.audio) : undefined;
        job = pack({ name: jobName, input: { ...input, audio: undefined }, hasAudio: audio !== undefined });
        deliver();
        const message = await finished.finally(() => audio?.close());
        if (message.type !== 'done') {
          throw asError(message);
        }
        return message.output as never;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  } finally {
    clearTimeout(timeout);
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for await (const part of request) {
    parts.push(part as Uint8Array);
  }
  return new Uint8Array(Buffer.concat(parts));
}
