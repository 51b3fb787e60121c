/** Pictures of the panel that teaches a phrase, in each of its states: wide, narrow and dark. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, ElementHandle, Page } from 'puppeteer';
import { note } from '../terminal.ts';
import { frameOf, savePicture } from './picture.ts';

const TAKES = new URL('../../test/fixtures/teach/hey-chatterbox/', import.meta.url);
/** Where they are written: none of them belongs to the project. */
const FOLDER = 'dist/screenshots';
/** Of the training, when its picture is taken. */
const SHARE_SHOWN = 0.6;
const LOOK_MS = 1000;
/** How long what was taught may take to be heard, and how often it is to be. */
const HEARING_MS = 30_000;
const HITS = 3;

const LOOKS = [
  { look: 'wide', width: 1280, height: 900, scheme: 'light' },
  { look: 'narrow', width: 390, height: 844, scheme: 'light' },
  { look: 'dark', width: 1280, height: 900, scheme: 'dark' },
] as const;

async function shoot(page: Page, state: string): Promise<void> {
  for (const { look, width, height, scheme } of LOOKS) {
    await page.setViewport({ width, height });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    // Charts follow with the next refresh of the screen.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    await savePicture(`${FOLDER}/teach-${state}-${look}.png`, [await frameOf(page, '#teach')]);
  }
}

const click = (page: Page, selector: string) =>
  page.$eval(selector, (found) => {
    (found as HTMLElement).click();
  });

const textOf = (page: Page, selector: string) => page.$eval(selector, (found) => found.textContent ?? '');

/** Waits for what takes longer than the browser waits for one answer. @returns whether it came in time */
async function until(isShown: () => Promise<boolean>, patienceMs = Infinity): Promise<boolean> {
  const start = performance.now();
  while (!(await isShown())) {
    if (performance.now() - start > patienceMs) {
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}

/**
 * Walks through the panel's states, and takes each. The microphone of the browser must play a take.
 *
 * @param steps of training; by default as many as the recipe has, and with fewer the phrase may not be heard
 */
export async function takeTeaching(browser: Browser, url: string, steps?: number): Promise<void> {
  const page = await browser.newPage();
  await page.goto(steps === undefined ? url : `${url}?teach-steps=${steps}`);
  await page.waitForSelector('#teach-form:not([hidden])');
  await page.waitForSelector('#microphone:not(:disabled)');
  await shoot(page, 'empty');

  await page.type('#phrase', 'hey chatterbox');
  const chooser = (await page.$('#takes-files')) as ElementHandle<HTMLInputElement>;
  const files = (await readdir(TAKES)).map((name) => fileURLToPath(new URL(name, TAKES)));
  await chooser.uploadFile(...files);
  await page.waitForSelector('#takes-takes li:nth-child(10)');
  await click(page, '#takes-record');
  await page.waitForFunction(() => (document.querySelector<HTMLMeterElement>('#takes-level')?.value ?? 0) > 0.3);
  await shoot(page, 'recording');
  await page.waitForSelector('#takes-record:not(.hearing)');
  await shoot(page, 'recorded');

  await click(page, '#teach-start');
  const shareDone = async () => {
    const [, done, total] = /step (\d+) of (\d+)/.exec(await textOf(page, '#teach-done')) ?? ['', '0', '1'];
    return Number(done) / Number(total);
  };
  await until(async () => (await shareDone()) >= SHARE_SHOWN);
  await shoot(page, 'training');
  await until(() => page.$eval('#taught', (taught) => !(taught as HTMLElement).hidden));
  await click(page, '#try');
  const isHeard = await until(
    () => page.$eval('#try-hits', (hits, least) => hits.children.length >= least, HITS),
    HEARING_MS,
  );
  note(isHeard ? 'what was taught is heard' : 'what was taught is not heard: more steps?');
  await shoot(page, 'taught');
  await page.close();
}
