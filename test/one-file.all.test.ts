import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'puppeteer';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { launchBrowser } from '../tools/runtime/browser.ts';
import { wakeWordsFolder } from './support/fixtures.ts';
import { serveFiles, type StaticServer } from './support/static-server.ts';

const root = new URL('../', import.meta.url);
const at = (path: string) => new URL(path, root);
/** Bytes that a page loads before the model, gzipped; the figure is the README's. */
const LARGEST_GZIPPED = 95_000;
const RILL = '/node_modules/rill-asr/dist/';
const HEARD = 'computer view glass alexa snowboy jarvis smart mirror';

/** A page that converts: in the worker, by itself, what is refused, and with a converter that is not there. */
const CONVERTS = `<!doctype html><script type="module">
  import { RecognizerClient, RillError, convertCheckpoint } from '.${RILL}rill.min.js';
  const checkpoint = await (await fetch('checkpoint.pt')).blob();
  const inWorker = await new RecognizerClient().convert([checkpoint]);
  const inPage = await convertCheckpoint(checkpoint);
  const refused = await convertCheckpoint(checkpoint.slice(9)).catch((error) => error);
  const { convertCheckpoint: convertAlone } = await import('/alone/rill.min.js');
  const missing = await convertAlone(checkpoint).catch((error) => error);
  const lengths = [inWorker, inPage].map((files) => files['model.safetensors'].length);
  document.title = JSON.stringify([...lengths, refused instanceof RillError && refused.code, missing.code]);
  document.body.append('done');
</script><body></body>`;

describe('rill.min.js', () => {
  let built: string;
  let page: string;
  let browser: Browser;
  let tab: Page;
  let config: string;
  /** The page, the model and, for pages of the same origin, Rill. */
  let site: StaticServer;
  /** Rill alone, for pages of any origin. */
  let cdn: StaticServer;
  /** Requests that failed or were given up, of the page and of its workers. */
  let failed: string[];

  const ofRill = (path: string) =>
    path.startsWith(RILL) ? pathToFileURL(join(built, path.slice(RILL.length))) : undefined;

  /** The page with Rill from the other origin, under the policy that the guide asks for. */
  const elsewhere = (html: string) => {
    const origin = cdn.url.slice(0, -1);
    const policy = [
      `script-src 'self' 'unsafe-inline' ${origin} data: 'wasm-unsafe-eval'`,
      `worker-src 'self' blob: ${origin}`,
      `connect-src 'self'`,
    ];
    const meta = `<meta http-equiv="content-security-policy" content="${policy.join('; ')}">`;
    return html.replace('<!doctype html>', `$&${meta}`).replace(`.${RILL}`, origin + RILL);
  };

  beforeAll(async () => {
    built = await mkdtemp(join(tmpdir(), 'rill-one-file-'));
    await build({
      configFile: fileURLToPath(at('vite.one-file.config.ts')),
      logLevel: 'error',
      build: { outDir: built },
    });
    page = await readFile(at('examples/page.html'), 'utf8');
  });
  afterAll(() => rm(built, { recursive: true }));

  beforeEach(async () => {
    config = await readFile(join(wakeWordsFolder, 'config.json'), 'utf8');
    cdn = await serveFiles(ofRill, { 'access-control-allow-origin': '*' });
    site = await serveFiles((path) => {
      switch (path) {
        case '/page.html':
          return page;
        case '/elsewhere.html':
          return elsewhere(page);
        case '/converts.html':
          return elsewhere(CONVERTS);
        case '/alone/rill.min.js':
          return pathToFileURL(join(built, 'rill.min.js'));
        case '/checkpoint.pt':
          return at('test/fixtures/golden/small/checkpoint.pt');
        case '/service-worker.js':
          return at('examples/service-worker.js');
        case '/favicon.ico':
          return '';
        case '/wake-words/config.json':
          return config;
        default:
          return ofRill(path) ?? at(`weights${path}`);
      }
    });
    browser = await launchBrowser('chrome', undefined, [
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${wakeWordsFolder}/samples/athena.wav`,
    ]);
    tab = await browser.newPage();
    failed = [];
    tab.on('requestfailed', (request) => failed.push(`${request.method()} ${request.url()}`));
    tab.on('pageerror', (error) => failed.push(String(error)));
    tab.on('workercreated', ({ client }) => {
      client.on('Network.loadingFailed', ({ errorText }) => failed.push(`in a worker: ${errorText}`));
      client.send('Network.enable').catch(() => undefined);
    });
  });
  afterEach(async () => {
    await browser.close();
    site.close();
    cdn.close();
  });

  const hears = (words: string) =>
    tab.waitForFunction((text) => document.body.innerText.includes(text), { timeout: 60_000 }, words);

  it('is one small file, and the converter another', async () => {
    const files = (await readdir(built)).filter((name) => !name.endsWith('.map'));
    expect(files.sort()).toEqual(['rill-converter.min.js', 'rill.min.js']);
    const [converter, rill] = await Promise.all(files.map(async (name) => readFile(join(built, name))));
    console.log(
      `rill.min.js ${rill.length}, gzipped ${gzipSync(rill).length}; converter ${converter.length}, ${gzipSync(converter).length}`,
    );
    expect(gzipSync(rill).length).toBeLessThan(LARGEST_GZIPPED);
  });

  it.each(['page.html', 'elsewhere.html'])(
    'hears a recording and the microphone without a bundler: %s',
    async (name) => {
      await tab.goto(site.url + name);
      await hears(HEARD);
      await tab.click('button');
      await hears('athena');
      expect(failed).toEqual([]);
    },
  );

  it('loads the converter from another origin when it is asked for, in page and worker', async () => {
    await tab.goto(`${site.url}elsewhere.html`);
    await hears(HEARD);
    expect(cdn.requests.some((request) => request.includes('converter'))).toBe(false);
    await tab.goto(`${site.url}converts.html`);
    await hears('done');
    const [inWorker, inPage, refused, missing] = JSON.parse(await tab.title()) as [number, number, string, string];
    expect(inWorker).toBeGreaterThan(100_000);
    expect(inPage).toBe(inWorker);
    expect(refused).toBe('bad-checkpoint');
    expect(missing).toBe('network');
    expect(cdn.requests).toContain(`GET ${RILL}rill-converter.min.js`);
  });

  it('asks for the model without a request that fails: at first, again, and when a file has changed', async () => {
    const modelRequests = async () => {
      site.requests.length = 0;
      await tab.goto(`${site.url}page.html`);
      await hears('computer');
      expect(failed).toEqual([]);
      return site.requests.filter((request) => /wake-words\/[^/]*$/.test(request)).sort();
    };
    const files = ['config.json', 'keywords.txt', 'model.safetensors', 'tokens.txt'];
    const asked = (method: string) => files.map((file) => `${method} /wake-words/${file}`);
    expect(await modelRequests()).toEqual(asked('GET'));
    expect(await modelRequests()).toEqual(asked('HEAD'));
    config += '\n';
    expect(await modelRequests()).toEqual(['GET /wake-words/config.json', ...asked('HEAD')]);
  });

  it.each(['page.html', 'elsewhere.html'])(
    'hears without a network, from what a service worker and Rill have kept: %s',
    async (name) => {
      await tab.goto(site.url + name);
      await tab.evaluate(async () => {
        await navigator.serviceWorker.register('service-worker.js');
        await navigator.serviceWorker.ready;
      });
      // What this visit loads goes through the service worker.
      await tab.reload();
      await hears(HEARD);
      site.close();
      cdn.close();
      await tab.reload();
      await hears(HEARD);
    },
  );
});
