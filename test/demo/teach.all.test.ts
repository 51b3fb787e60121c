import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from '@zip.js/zip.js';
import type { Browser, ElementHandle, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { fixturePath, wakeWordsFolder } from '../support/fixtures.ts';
import { taughtFiles } from '../support/taught.ts';
import { violations } from './axe.ts';
import { click, isHidden, serveBuild, serveDevelopment, setValue, text, waitForStatus, type Site } from './page.ts';

const TAKES = fixturePath('teach/hey-chatterbox');
/** Fewer than the recipe has, whose own test is what is learned. */
const STEPS = 8;
/** For what a page does, and for teaching on a software adapter of a busy machine. */
const PATIENCE = { timeout: 60_000, interval: 200 };
const LONG_PATIENCE = { timeout: 25 * 60_000, interval: 500 };

/** What the browser's microphone hears, over and over: a take. */
const spoken = (path: string) => [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-audio-capture=${path}`,
  '--autoplay-policy=no-user-gesture-required',
];

const choose = async (page: Page, selector: string, ...paths: string[]) => {
  const input = (await page.$(selector)) as ElementHandle<HTMLInputElement>;
  await input.uploadFile(...paths);
};
const count = (page: Page, selector: string) => page.$$eval(selector, (all) => all.length);
/** Waits for what may take longer than a browser waits for one answer. */
const waitForCount = (page: Page, selector: string, least: number) =>
  vi.waitUntil(async () => (await count(page, selector)) >= least, PATIENCE);
const waitForWords = (page: Page, selector: string, words: RegExp) =>
  vi.waitUntil(async () => words.test(await text(page, selector)), LONG_PATIENCE);
const waitForTold = (page: Page, part: string, patience = PATIENCE) =>
  vi.waitUntil(async () => (await text(page, '#teach-status')).includes(part), patience);
const isDisabled = (page: Page, selector: string) =>
  page.$eval(selector, (found) => (found as HTMLButtonElement).disabled);

describe('the panel that teaches a phrase', { timeout: 40 * 60_000 }, () => {
  let site: Site;
  let browser: Browser;
  let page: Page;
  let takes: string[];
  let folder: string;
  const complaints: string[] = [];

  const open = async () => {
    await page.goto(`${site.url}?teach-steps=${STEPS}`);
    await waitForStatus(page, 'Ready');
  };

  beforeAll(async () => {
    site = await serveBuild();
    folder = await mkdtemp(join(tmpdir(), 'rill-takes-'));
    takes = (await readdir(TAKES)).map((name) => `${TAKES}/${name}`);
    browser = await launchBrowser('chrome', undefined, spoken(takes[3]));
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await open();
    await page.waitForSelector('#teach-form:not([hidden])');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
    await rm(folder, { recursive: true });
  });

  it('says what is missing, and breaks no rule of axe while it is empty', async () => {
    expect(await isDisabled(page, '#teach-start')).toBe(true);
    expect(await text(page, '#teach-needs')).toBe('Type the phrase. 0 of 10 recordings; it takes 5 at least.');
    expect(await violations(page, '#teach')).toEqual([]);
  });

  it('takes recordings as files, and refuses with the reason those that cannot teach', async () => {
    await setValue(page, '#phrase', 'hey chatterbox');
    // A recording with its samples set to zero.
    const silent = join(folder, 'silent.wav');
    await writeFile(silent, (await readFile(takes[0])).fill(0, 44));
    await choose(page, '#takes-files', ...takes.slice(0, 9), silent);
    await waitForCount(page, '#takes-takes li', 10);
    expect(await text(page, '#takes-takes .refused')).toContain('Nothing is heard in it');
    expect(await text(page, '#teach-status')).toContain('1 not used. Nothing is heard');
    expect(await isDisabled(page, '#teach-start')).toBe(false);
    expect(await violations(page, '#teach')).toEqual([]);
  });

  it('records a take, which ends by itself behind what is said, and lets go of one that is deleted', async () => {
    await click(page, '#takes-record');
    await waitForTold(page, 'Speak now');
    await waitForTold(page, '10 recordings can be used');
    expect(await count(page, '#takes-takes .refused')).toBe(0);
    await page.focus('#takes-takes li:last-child .remove');
    await page.keyboard.press('Enter');
    expect(await count(page, '#takes-takes li')).toBe(9);
    // The next one has the focus.
    expect(await page.evaluate(() => document.activeElement?.ariaLabel)).toBe('Delete: 08.wav');
    await choose(page, '#takes-files', takes[9]);
    await waitForCount(page, '#takes-takes li', 10);
  });

  it('lets teaching be cancelled, and keeps the takes', async () => {
    await click(page, '#teach-start');
    await waitForWords(page, '#teach-done', /recordings|step/);
    expect(await isHidden(page, '#teach-form')).toBe(true);
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('teach-cancel');
    await click(page, '#teach-cancel');
    await waitForTold(page, 'cancelled');
    expect(await count(page, '#takes-takes li')).toBe(10);
  });

  it('teaches in a worker while the page goes on, and says how long it still takes', async () => {
    await click(page, '#teach-start');
    await waitForWords(page, '#teach-left', /about/);
    expect(await text(page, '#teach-done')).toMatch(new RegExp(`^step \\d+ of ${STEPS}$`));
    expect(await violations(page, '#teach')).toEqual([]);
    // Nothing of it runs in the page: a timer is late by what the machine is busy with, not by a step.
    const late = await page.evaluate(async () => {
      const waits: number[] = [];
      for (let i = 0; i < 20; i++) {
        const start = performance.now();
        await new Promise((resolve) => setTimeout(resolve, 20));
        waits.push(performance.now() - start);
      }
      return waits.sort((a, b) => a - b)[10];
    });
    expect(late).toBeLessThan(100);
    await waitForTold(page, 'knows “hey chatterbox” now', LONG_PATIENCE);
    expect(await text(page, '#taught-phrases')).toContain('hey chatterbox');
    expect(await page.$eval('#keywords', (list) => (list as HTMLTextAreaElement).value.split('\n'))).toContain(
      'hey chatterbox',
    );
  });

  it('is kept in the browser, offered at the next visit with its takes, and un-taught', async () => {
    await click(page, '#teach-keep');
    await waitForTold(page, 'Kept in this browser');
    expect(await isHidden(page, '#teach-discard')).toBe(true);
    await open();
    await page.waitForSelector('#kept:not([hidden])');
    expect(await text(page, '#kept-says')).toBe('“hey chatterbox” was kept in this browser.');
    await click(page, '#kept-use');
    await waitForTold(page, 'The model that knows “hey chatterbox” is loaded');
    expect(await count(page, '#takes-takes li')).toBe(10);
    await click(page, '#taught-phrases button');
    await waitForTold(page, 'has forgotten “hey chatterbox”');
    expect(await page.$eval('#keywords', (list) => (list as HTMLTextAreaElement).value)).not.toContain('chatterbox');
    await click(page, '#teach-discard');
    await waitForTold(page, 'Discarded');
    expect(await text(page, '#taught-phrases')).toContain('hey chatterbox');
    await click(page, '#kept-delete');
    await waitForTold(page, 'Nothing is kept');
    await open();
    expect(await isHidden(page, '#kept')).toBe(true);
  });

  it('complained about nothing', () => {
    expect(complaints).toEqual([]);
  });
});

describe('the panel that teaches a phrase, with a model that was taught one', () => {
  let site: Site;
  let browser: Browser;
  let page: Page;
  let folder: string;
  let files: Record<string, string | Uint8Array>;

  beforeAll(async () => {
    site = await serveBuild();
    folder = await mkdtemp(join(tmpdir(), 'rill-taught-'));
    files = { ...(await taughtFiles('hey alexa', 'x')) };
    await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(folder, name), content)));
    browser = await launchBrowser('chrome', undefined, spoken(`${wakeWordsFolder}/samples/alexa.wav`));
    page = await browser.newPage();
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
    await choose(page, '#file', ...Object.keys(files).map((name) => join(folder, name)));
    await page.waitForSelector('#taught-try:not([hidden])');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
    await rm(folder, { recursive: true });
  });

  it('names the phrase, and says that the page cannot rehearse what else it knows', async () => {
    expect(await text(page, '#taught-phrases li')).toContain('hey alexa');
    expect(await text(page, '#teach-needs')).toContain('may fade');
  });

  it('shows what is heard, and takes a false alarm down as a recording that must not wake it', async () => {
    await click(page, '#try');
    await waitForCount(page, '#try-hits li button', 2);
    // The old phrases are no false alarms of the new one.
    expect(await text(page, '#try-hits')).toMatch(/alexa \d/);
    expect(await text(page, '#try-hits li:has(button)')).toMatch(/^hey alexa \d+\.\d s, 0\.\d\d/);
    await click(page, '#try-hits li button');
    await waitForCount(page, '#others-takes li', 1);
    expect(await text(page, '#others-takes .title')).toBe('false alarm: hey alexa');
    expect(await text(page, '#teach-status')).toContain('must not wake it');
    await setValue(page, '#phrase', 'Hey  Alexa');
    expect(await text(page, '#teach-start')).toBe('Teach again');
    await page.$eval('#others-area', (details) => ((details as HTMLDetailsElement).open = true));
    expect(await violations(page, '#teach')).toEqual([]);
    await click(page, '#try');
    expect(await text(page, '#try-says')).toBe('Try it');
  });

  it('downloads the folder as a zip', async () => {
    const session = await page.createCDPSession();
    await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: folder });
    await click(page, '#teach-download');
    const zip = await vi.waitUntil(() => readFile(join(folder, 'model.zip')).catch(() => undefined), PATIENCE);
    const entries = await new ZipReader(new Uint8ArrayReader(zip)).getEntries();
    expect(entries.map(({ filename }) => filename).sort()).toEqual(
      Object.keys(files)
        .map((name) => `model/${name}`)
        .sort(),
    );
    for (const entry of entries) {
      const content = entry.directory
        ? undefined
        : await entry.getData(new Uint8ArrayWriter(), { checkSignature: true });
      expect(content?.length, entry.filename).toBe(Buffer.from(files[entry.filename.slice('model/'.length)]).length);
    }
  });
});

describe('the panel that teaches a phrase, without WebGPU', { timeout: 40 * 60_000 }, () => {
  it('teaches on the CPU', async () => {
    const site = await serveDevelopment();
    const browser = await launchBrowser('chrome', 'none');
    try {
      const page = await browser.newPage();
      await page.goto(`${site.url}?teach-steps=${STEPS}`);
      await waitForStatus(page, 'Ready');
      await setValue(page, '#phrase', 'hey chatterbox');
      const takes = (await readdir(TAKES)).map((name) => `${TAKES}/${name}`);
      await choose(page, '#takes-files', ...takes);
      await waitForCount(page, '#takes-takes li', takes.length);
      await click(page, '#teach-start');
      await waitForTold(page, 'knows “hey chatterbox” now', LONG_PATIENCE);
    } finally {
      await browser.close();
      await site.close();
    }
  });
});
