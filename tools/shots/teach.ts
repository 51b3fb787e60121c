/** Pictures of the panel that teaches a phrase, in each of its states: wide, narrow and dark. */
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, ElementHandle, Page } from 'puppeteer';
import { frameOf, savePicture } from './picture.ts';

const TAKES = new URL('../../test/fixtures/teach/hey-chatterbox/', import.meta.url);
/** Where they are written: none of them belongs to the project. */
const FOLDER = 'dist/screenshots';
/** Of training, so that the picture of it has a curve; nothing is learned in as few. */
const STEPS = 60;
const STEPS_SHOWN = 40;
const LOOK_MS = 1000;

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

/** Waits for what takes longer than the browser waits for one answer. */
async function untilShown(page: Page, isShown: () => Promise<boolean>): Promise<void> {
  while (!(await isShown())) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    process.stderr.write(`\r${await textOf(page, '#teach-done')} ${await textOf(page, '#teach-left')} `);
  }
}

/** Walks through the panel's states, and takes each. The microphone of the browser must play something. */
export async function takeTeaching(browser: Browser, url: string): Promise<void> {
  const page = await browser.newPage();
  await page.goto(`${url}?teach-steps=${STEPS}`);
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
  const stepsDone = async () => Number(/step (\d+)/.exec(await textOf(page, '#teach-done'))?.[1] ?? 0);
  await untilShown(page, async () => (await stepsDone()) >= STEPS_SHOWN);
  await shoot(page, 'training');
  await untilShown(page, () => page.$eval('#taught', (taught) => !(taught as HTMLElement).hidden));
  await click(page, '#try');
  await untilShown(page, () => page.$eval('#try-hits', (hits) => hits.children.length > 0));
  await shoot(page, 'taught');
  await page.close();
}
