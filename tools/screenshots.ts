/**
 * `npm run screenshots`: pictures of the demo page while it listens to a bundled recording: wide, narrow and dark, the preview
 * that links to the page show, and one that moves. `npm run screenshots -- teach [steps]` takes the panel that teaches a
 * phrase instead, in each of its states, into dist/screenshots. The page is built first; the browser is headless Chrome.
 */
import { fileURLToPath } from 'node:url';
import type { Browser, Page, Viewport } from 'puppeteer';
import { build, preview } from 'vite';
import { launchBrowser } from './runtime/browser.ts';
import { frameOf, savePicture, type Frame } from './shots/picture.ts';
import { takeTeaching } from './shots/teach.ts';

const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));

/** A picture, by its path from the project's folder; taken when some keywords were heard. */
interface Shot extends Pick<Viewport, 'width' | 'height'> {
  path: string;
  dark: boolean;
  keywords: number;
}

const SHOTS: readonly Shot[] = [
  { path: 'docs/demo-wide.png', width: 1280, height: 1700, dark: false, keywords: 3 },
  { path: 'docs/demo-dark.png', width: 1280, height: 1240, dark: true, keywords: 3 },
  { path: 'docs/demo-narrow.png', width: 390, height: 844, dark: false, keywords: 2 },
  { path: 'demo/preview.png', width: 1200, height: 630, dark: false, keywords: 2 },
];

/** The moving picture: what it shows, made smaller; how long, and the pauses before it begins again. */
const MOVING = { path: 'docs/demo.png', width: 960, height: 1330, deviceScaleFactor: 0.75 };
const MOVING_SECONDS = 11;
const FRAME_MS = 160;
const LAST_FRAME_MS = 2500;
/** The page in a window of its own, hearing the longest of its recordings. */
async function openPage(browser: Browser, url: string, viewport: Viewport, dark: boolean): Promise<Page> {
  const page = await browser.newPage();
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
  await page.goto(url);
  await page.waitForSelector('#clips button:not(:disabled)', { timeout: 60_000 });
  await page.$$eval('#clips button', ([first]) => {
    first.click();
  });
  return page;
}

async function takeShot(browser: Browser, url: string, { path, width, height, dark, keywords }: Shot): Promise<void> {
  const page = await openPage(browser, url, { width, height }, dark);
  await page.waitForFunction((count) => document.querySelectorAll('#hits li').length >= count, {}, keywords);
  await savePicture(path, [await frameOf(page)]);
  await page.close();
}

/** Frames as fast as they come, each shown for as long as it took until the next. */
async function takeMoving(browser: Browser, url: string): Promise<void> {
  const { path, ...viewport } = MOVING;
  const page = await openPage(browser, url, viewport, false);
  const frames: Frame[] = [];
  const times: number[] = [];
  const start = performance.now();
  while (performance.now() - start < 1000 * MOVING_SECONDS) {
    times.push(performance.now());
    frames.push(await frameOf(page));
    const rest = FRAME_MS - (performance.now() - times[times.length - 1]);
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
  await page.close();
  await savePicture(
    path,
    frames,
    times.map((time, i) => (i + 1 < times.length ? Math.round(times[i + 1] - time) : LAST_FRAME_MS)),
  );
}

await build({ configFile, logLevel: 'error' });
const server = await preview({ configFile, preview: { port: 0, host: '127.0.0.1' } });
const [what, steps] = process.argv.slice(2);
const spoken = fileURLToPath(new URL('../test/fixtures/teach/hey-chatterbox/03.wav', import.meta.url));
const browser = await launchBrowser('chrome', undefined, [
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  `--use-file-for-fake-audio-capture=${spoken}`,
]);
const url = server.resolvedUrls?.local[0] ?? '';
try {
  if (what === 'teach') {
    await takeTeaching(browser, url, steps === undefined ? undefined : Number(steps));
  } else {
    for (const shot of SHOTS) {
      await takeShot(browser, url, shot);
    }
    await takeMoving(browser, url);
  }
} finally {
  await browser.close();
  await server.close();
}
process.exit(0);
