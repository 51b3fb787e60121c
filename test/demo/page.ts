/** The demo page in tests: how it is served, and what is done with it. */
import { readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ElementHandle, Page } from 'puppeteer';
import { build, createServer as createDevServer } from 'vite';
import { wakeWordsFolder } from '../support/fixtures.ts';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));
const SUB_PATH = '/some/sub/path/';
/** As strict as the page can be: its own files only, nothing inline, no blobs, no code but JavaScript and WebAssembly. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'";
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.wav': 'audio/wav',
};

/** Where the page is served. */
export interface Site {
  url: string;
  close: () => Promise<unknown>;
}

/**
 * The page as `npm run demo` serves it.
 *
 * @param policy a content-security policy; none by default
 */
export async function serveDevelopment(policy?: string): Promise<Site> {
  const server = await createDevServer({
    configFile,
    logLevel: 'error',
    server: {
      port: 0,
      host: '127.0.0.1',
      watch: null,
      headers: policy ? { 'content-security-policy': policy } : {},
    },
  });
  await server.listen();
  return { url: server.resolvedUrls?.local[0] ?? '', close: () => server.close() };
}

/** What a static host may do besides. */
interface Hosting {
  /** A file whose first request is never answered; `asked` resolves when it comes. */
  stuck?: string;
  /** Takes the headers that the build has for its host, in place of a strict content-security policy. */
  takesHeaders?: boolean;
}

/** The static build under a sub-path, by default with a strict content-security policy and no isolation headers. */
export async function serveBuild({ stuck, takesHeaders = false }: Hosting = {}): Promise<
  Site & { asked: Promise<void> }
> {
  const folder = join(tmpdir(), `rill-demo-${process.pid}`);
  await build({ configFile, logLevel: 'error', build: { outDir: folder, emptyOutDir: true } });
  let tellAsked: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    tellAsked = resolve;
  });
  const headers = takesHeaders
    ? readHeaders(await readFile(join(folder, '_headers'), 'utf8'))
    : { 'content-security-policy': POLICY };
  const server: Server = createServer((request, response) => {
    const path = new URL(request.url ?? '', 'http://localhost').pathname;
    if (stuck && path.endsWith(stuck)) {
      stuck = undefined;
      tellAsked();
      return;
    }
    const file = path === SUB_PATH ? 'index.html' : path.startsWith(SUB_PATH) ? path.slice(SUB_PATH.length) : '';
    readFile(join(folder, file)).then(
      (content) => {
        const type = TYPES[extname(file)] ?? 'application/octet-stream';
        response.writeHead(200, {
          'content-type': type,
          'content-length': content.length,
          ...headers,
        });
        response.end(content);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}${SUB_PATH}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The headers of a host's file: indented lines, below the paths that they are for. */
const readHeaders = (file: string) =>
  Object.fromEntries([...file.matchAll(/^ +([\w-]+): (.+)$/gm)].map(([, name, value]) => [name, value]));

export const text = (page: Page, selector: string) => page.$eval(selector, (found) => found.textContent ?? '');
export const waitForText = (page: Page, selector: string, part: string) =>
  page.waitForFunction(
    (id, wanted) => document.querySelector(id)?.textContent?.includes(wanted),
    { timeout: 60_000 },
    selector,
    part,
  );
export const waitForStatus = (page: Page, part: string) => waitForText(page, '#status', part);
export const click = (page: Page, selector: string) => page.$eval(selector, (found) => (found as HTMLElement).click());
export const clickClip = (page: Page, name: string) =>
  page.$$eval(
    '#clips button',
    (buttons, wanted) => buttons.find((button) => button.textContent === wanted)?.click(),
    name,
  );
export const choose = async (page: Page, ...paths: string[]) => {
  const input = (await page.$('#file')) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(...paths);
};
export const setValue = (page: Page, selector: string, value: string, event = 'input') =>
  page.$eval(
    selector,
    (found, set, type) => {
      (found as HTMLInputElement).value = set;
      found.dispatchEvent(new Event(type, { bubbles: true }));
    },
    value,
    event,
  );
export const hits = (page: Page) =>
  page.$$eval('#hits li', (items) => items.map((item) => item.firstChild?.textContent?.replace(/ \d.*$/, '')));

/** Files that are heard in turn, each with what became of it. */
export const queued = (page: Page) => page.$$eval('#queue-files li', (items) => items.map((item) => item.textContent));

export const isHidden = (page: Page, selector: string) =>
  page.$eval(selector, (found) => (found as HTMLElement).hidden);

/** Hears a bundled recording as fast as it goes. */
export async function hearAlexa(page: Page): Promise<void> {
  await page.$eval('#real-time', (box) => {
    (box as HTMLInputElement).checked = false;
  });
  await clickClip(page, 'alexa');
  await waitForStatus(page, 'Heard in alexa: alexa');
}

/** Chrome whose microphone is a recording, played over and over. */
export const microphone = (name: string) => [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-audio-capture=${wakeWordsFolder}/samples/${name}.wav`,
  '--autoplay-policy=no-user-gesture-required',
];
