import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { fixturePath, goldenModel, wakeWordsFolder } from '../support/fixtures.ts';

describe('the demo page', () => {
  let server: ViteDevServer;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  const text = (selector: string) => page.$eval(selector, (element) => element.textContent ?? '');
  const waitForStatus = (part: string) =>
    page.waitForFunction(
      (wanted) => document.querySelector('#status')?.textContent?.includes(wanted),
      { timeout: 60_000 },
      part,
    );
  const words = () => page.$$eval('#words li', (items) => items.map((item) => item.firstChild?.textContent));
  const dropFile = async (path: string) => {
    const input = await page.$('#file');
    await (input as unknown as { uploadFile(file: string): Promise<void> }).uploadFile(path);
  };

  beforeAll(async () => {
    server = await createServer({
      configFile: fileURLToPath(new URL('../../vite.config.ts', import.meta.url)),
      server: { port: 0, host: '127.0.0.1' },
    });
    await server.listen();
    browser = await launchBrowser('chrome');
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    await waitForStatus('Ready');
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  it('names the adapter and offers the bundled recordings', async () => {
    expect(await text('#adapter')).toMatch(/\w/);
    expect(await page.$$eval('#clips button', (buttons) => buttons.length)).toBe(9);
  });

  it('shows the words of a bundled clip as it plays, keywords lit up, and the real-time factor', async () => {
    await page.evaluate(() =>
      [...document.querySelectorAll('button')].find((button) => button.textContent === 'smart-mirror')?.click(),
    );
    await waitForStatus('Heard in smart-mirror: smart mirror');
    expect(await words()).toEqual(['smart', 'mirror']);
    expect(await page.$$eval('#words li.keyword', (items) => items.length)).toBe(2);
    const factor = Number(await text('#rtf'));
    expect(factor).toBeGreaterThan(0);
    expect(factor).toBeLessThan(1);
  });

  it('takes a file, as fast as it goes', async () => {
    await page.click('#fast');
    await dropFile(`${wakeWordsFolder}/samples/stream.wav`);
    await waitForStatus('Heard in stream.wav: computer view glass alexa snowboy jarvis smart mirror');
    expect(await words()).toEqual(['computer', 'view', 'glass', 'alexa', 'snowboy', 'jarvis', 'smart', 'mirror']);
  });

  it('says so when a file is no audio, and goes on', async () => {
    await dropFile(fixturePath('golden/small/config.json'));
    await waitForStatus('could not be decoded');
    await dropFile(`${wakeWordsFolder}/samples/alexa.wav`);
    await waitForStatus('Heard in alexa.wav: alexa');
  });

  it('can convert a checkpoint in the page, to the same bytes as Node', async () => {
    const entry = `/@fs${fileURLToPath(new URL('../../src/index.ts', import.meta.url))}`;
    const checkpoint = `/@fs${fixturePath('golden/small/checkpoint.pt')}`;
    // As text: the test runner rewrites imports inside functions.
    const digest = (await page.evaluate(`(async () => {
      const { blobSource, convertCheckpoint } = await import(${JSON.stringify(entry)});
      const checkpoint = await (await fetch(${JSON.stringify(checkpoint)})).blob();
      const files = await convertCheckpoint(blobSource(checkpoint));
      return [...new Uint8Array(await crypto.subtle.digest('SHA-256', files['model.safetensors']))];
    })()`)) as number[];
    const here = (await goldenModel('small'))['model.safetensors'];
    expect(digest).toEqual([...createHash('sha256').update(here).digest()]);
  });

  it('complained about nothing', () => {
    expect(complaints).toEqual([]);
  });
});
