import type { Browser, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { violations } from './axe.ts';
import { choose, hearAlexa, serveDevelopment, setValue, waitForStatus, type Site } from './page.ts';
import { wakeWordsFolder } from '../support/fixtures.ts';

const LOOKS = [
  { look: 'wide', width: 1280, height: 800, scheme: 'light' },
  { look: 'narrow', width: 390, height: 844, scheme: 'light' },
  { look: 'wide and dark', width: 1280, height: 800, scheme: 'dark' },
  { look: 'narrow and dark', width: 390, height: 844, scheme: 'dark' },
] as const;

describe.each(LOOKS)('the demo page, $look', ({ width, height, scheme }) => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await serveDevelopment();
    browser = await launchBrowser('chrome', 'none', ['--autoplay-policy=no-user-gesture-required']);
    page = await browser.newPage();
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  it('shows the sentence, the button and what is heard without scrolling', async () => {
    expect(await lowestOf(page, '#microphone', '#text', '#speed', '#clips')).toBeLessThanOrEqual(height);
    await hearAlexa(page);
    expect(await lowestOf(page, '#microphone', '#text', '#speed', '#transcript')).toBeLessThanOrEqual(height);
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
  });

  it('breaks no rule of axe before anything was heard', async () => {
    await page.reload();
    await waitForStatus(page, 'Ready');
    expect(await violations(page)).toEqual([]);
  });

  it('breaks none with everything open, after something was heard and something was wrong', async () => {
    await hearAlexa(page);
    await page.$$eval('details', (all) => {
      all.forEach((details) => (details.open = true));
    });
    await setValue(page, '#keywords', 'alexa\nж');
    await page.waitForSelector('#keywords-error:not([hidden])');
    await choose(page, ...['alexa', 'jarvis'].map((name) => `${wakeWordsFolder}/samples/${name}.wav`));
    await waitForStatus(page, 'Heard in jarvis.wav');
    expect(await violations(page)).toEqual([]);
  });
});

/** The lowest edge of some elements, in CSS pixels from the top of the page. */
const lowestOf = (page: Page, ...selectors: string[]) =>
  page.evaluate(
    (wanted) =>
      Math.max(
        ...wanted.map((selector) => document.querySelector(selector)?.getBoundingClientRect().bottom ?? Infinity),
      ),
    selectors,
  );
