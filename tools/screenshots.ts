/**
 * `npm run screenshots`: pictures of the demo page for the README, wide, narrow and dark, while it listens. The page is
 * built first; the browser is headless Chrome.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';
import { launchBrowser } from './runtime/browser.ts';
import { note } from './terminal.ts';

const folder = fileURLToPath(new URL('../docs/', import.meta.url));
const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));
const SHOTS = [
  { name: 'wide', width: 1200, height: 1820, dark: false },
  { name: 'dark', width: 1200, height: 900, dark: true },
  { name: 'narrow', width: 390, height: 844, dark: false },
] as const;

await mkdir(folder, { recursive: true });
await build({ configFile, logLevel: 'error' });
const server = await preview({ configFile, preview: { port: 0, host: '127.0.0.1' } });
const browser = await launchBrowser('chrome', undefined, ['--autoplay-policy=no-user-gesture-required']);
try {
  for (const { name, width, height, dark } of SHOTS) {
    const page = await browser.newPage();
    await page.setViewport({ width, height, deviceScaleFactor: 1 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }]);
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    await page.waitForSelector('#clips button:not(:disabled)', { timeout: 60_000 });
    await page.$eval('#time-engines', (button) => {
      (button as HTMLButtonElement).click();
    });
    await page.waitForSelector('#time-engines:not(:disabled)', { timeout: 60_000 });
    await page.$$eval('#clips button', ([first]) => {
      first.click();
    });
    // By then the first words are settled and the charts have something to show.
    await page.waitForFunction(() => document.querySelectorAll('#hits li').length >= 3, { timeout: 60_000 });
    // The package has them for the README that npm shows: as PNG they would be three times as large as all else.
    await page.screenshot({ path: `${folder}demo-${name}.webp`, type: 'webp', quality: 60 });
    note(`docs/demo-${name}.webp`);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}
process.exit(0);
