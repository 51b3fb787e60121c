import type { Browser, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { testsAll } from '../support/scope.ts';
import {
  click,
  clickClip,
  hearAlexa,
  isHidden,
  setValue,
  serveDevelopment,
  text,
  waitForStatus,
  waitForText,
  type Site,
} from './page.ts';

describe('the demo page in a browser without a GPU adapter', () => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await serveDevelopment();
    browser = await launchBrowser('chrome', 'none');
    page = await browser.newPage();
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  it('hears on the CPU by default, says so and why, and has no GPU to lose', async () => {
    expect(await text(page, '#runs-on')).toMatch(/^Runs on CPU.*: no GPU adapter here\.$/);
    expect(await isHidden(page, '#lose')).toBe(true);
    expect(await isHidden(page, '#notice')).toBe(true);
    await hearAlexa(page);
    expect(parseFloat(await text(page, '#compute'))).toBeGreaterThan(0);
  });

  it('times a chunk on the CPU, and says that there is no GPU', async () => {
    await click(page, '#time-engines');
    await waitForText(page, '#engine-times-of', '4 × 40 ms, weights in f32');
    expect(await times(page)).toEqual([
      ['GPU', 'no GPU adapter here'],
      [expect.stringMatching(/^CPU/), expect.stringMatching(/^\d+\.\d\d ms$/)],
    ]);
  });

  it('says why a GPU that is asked for does not come, goes on meanwhile, and has Auto at hand', async () => {
    await page.select('#device', 'webgpu');
    await waitForText(page, '#notice', 'without an adapter');
    expect(await text(page, '#runs-on')).toContain('no GPU adapter here');
    await hearAlexa(page);
    await click(page, '#use-auto');
    await page.waitForSelector('#use-auto', { hidden: true });
    await waitForStatus(page, 'Ready');
    expect(await isHidden(page, '#notice')).toBe(true);
    expect(await page.$eval('#device', (device) => (device as HTMLSelectElement).value)).toBe('auto');
  });

  it('says that there is no engine at all where WebAssembly is forbidden as well', async () => {
    const strict = await serveDevelopment("script-src 'self'");
    const bare = await browser.newPage();
    await bare.goto(strict.url);
    await waitForText(bare, '#notice', 'no WebAssembly with SIMD, and WebGPU without an adapter');
    expect(await text(bare, '#notice')).toContain('wasm-unsafe-eval');
    expect(await isHidden(bare, '#retry')).toBe(false);
    // It is Auto that has failed.
    expect(await isHidden(bare, '#use-auto')).toBe(true);
    expect(await bare.$eval('#microphone', (button) => (button as HTMLButtonElement).disabled)).toBe(true);
    await bare.close();
    await strict.close();
  });
});

describe('the demo page in a browser with an adapter', () => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await serveDevelopment();
    browser = await launchBrowser('chrome');
    page = await browser.newPage();
    await page.evaluateOnNewDocument(() => {
      // The page's worker within the test's reach.
      const Original = Worker;
      Object.assign(window, {
        Worker: class extends Original {
          constructor(...args: ConstructorParameters<typeof Original>) {
            super(...args);
            Object.assign(window, { worker: this });
          }
        },
      });
    });
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  it.runIf(testsAll)('changes engines by the keyboard, says which one runs, and hears on either', async () => {
    await page.$eval('details:has(#device)', (details) => (details.open = true));
    await page.focus('#device');
    await page.keyboard.press('ArrowDown');
    await waitForText(page, '#runs-on', 'asked for');
    await waitForStatus(page, 'Ready');
    expect(await text(page, '#runs-on')).not.toContain('CPU');
    expect(await isHidden(page, '#lose')).toBe(false);
    await hearAlexa(page);
    await page.keyboard.press('ArrowDown');
    await waitForText(page, '#runs-on', 'Runs on CPU');
    await waitForStatus(page, 'Ready');
    expect(await isHidden(page, '#lose')).toBe(true);
    await hearAlexa(page);
  });

  it('times a chunk on both, whichever is in use, in the size that a chunk has', async () => {
    await setValue(page, '#chunk', '2');
    await click(page, '#time-engines');
    await waitForText(page, '#engine-times-of', '2 × 40 ms');
    const ms = expect.stringMatching(/^\d+\.\d\d ms$/) as string;
    expect(await times(page)).toEqual([
      [expect.stringMatching(/^GPU: \w/), ms],
      [expect.stringMatching(/^CPU/), ms],
    ]);
  });

  it('times nothing while something is heard', async () => {
    await page.$eval('#real-time', (box) => {
      (box as HTMLInputElement).checked = true;
    });
    await clickClip(page, 'stream');
    await waitForStatus(page, 'Listening to stream');
    await click(page, '#time-engines');
    await waitForText(page, '#engine-times-of', 'Not while something is heard');
    await click(page, '#microphone');
    await waitForStatus(page, 'Ready');
  });

  it('tells that it goes on on the CPU where no GPU stays', async () => {
    // What the worker does then has tests of its own, and takes three lost GPUs: this is its message.
    await page.evaluate(() => {
      const sizes = { encoder: { numEncoderLayers: 4, dModel: 128 }, hasCtc: true, transducer: {} };
      const device = { kind: 'cpu', name: 'CPU', reason: 'GPU device after device was lost' };
      const info = { device, dtype: 'f32', sizes, parameters: {}, memory: {}, method: 'ctc_greedy', numFeatures: 80 };
      const { worker } = window as unknown as { worker: Worker };
      worker.dispatchEvent(new MessageEvent('message', { data: { event: { type: 'recovered', info } } }));
    });
    await waitForStatus(page, 'It goes on on the CPU');
    expect(await text(page, '#runs-on')).toBe('Runs on CPU: GPU device after device was lost.');
  });

  it('speaks of it in Chinese, too', async () => {
    await page.select('#language', 'zh');
    expect(await text(page, '#runs-on')).toMatch(/^现运行于 CPU/);
    expect(await text(page, '#time-engines')).toBe('测量两个引擎');
    expect(await page.$$eval('#device option', (options) => options.map(({ textContent }) => textContent))).toEqual([
      '自动：此处较快的一个',
      'GPU（WebGPU）',
      'CPU（WebAssembly）',
    ]);
  });
});

/** Engines and what they take, as the page shows them. */
const times = (page: Page) =>
  page.$$eval('#engine-times > div', (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
