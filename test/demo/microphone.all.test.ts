import type { Browser, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import {
  click,
  hits,
  isHidden,
  microphone,
  serveDevelopment,
  setValue,
  text,
  waitForStatus,
  type Site,
} from './page.ts';

describe('the demo page, listening to the microphone', () => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await serveDevelopment();
    browser = await launchBrowser('chrome', 'none', microphone('computer'));
    page = await browser.newPage();
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
    await click(page, '#microphone');
    await waitForHits(page, 1);
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  const waitForHits = (on: Page, count: number) =>
    on.waitForFunction((least) => document.querySelectorAll('#hits li').length >= least, { timeout: 60_000 }, count);

  it('moves the meter with the level, and rests it at the end', async () => {
    await page.waitForFunction(() => document.querySelector<HTMLMeterElement>('#level')!.value > 0.3);
    await page.waitForFunction(() => document.querySelector<HTMLMeterElement>('#level')!.value < 0.1);
  });

  it('lists the microphones, and goes on with another one', async () => {
    const options = await page.$$eval('#microphones option', (all) => all.map(({ textContent }) => textContent));
    expect(options[0]).toBe('Microphone: Default');
    expect(options.length).toBeGreaterThan(1);
    expect(options.every(Boolean)).toBe(true);
    const before = (await hits(page)).length;
    await page.$eval('#microphones', (select) => {
      (select as HTMLSelectElement).selectedIndex = 1;
      select.dispatchEvent(new Event('change'));
    });
    await waitForHits(page, before + 1);
    expect(await isHidden(page, '#notice')).toBe(true);
  });

  it('says which line it cannot spell, and hears the others meanwhile', async () => {
    await setValue(page, '#keywords', 'ж\ncomputer');
    await page.waitForSelector('#keywords-error:not([hidden])');
    expect(await text(page, '#keywords-error')).toContain('Line 1: this model cannot spell “ж”. The other lines');
    await waitForHits(page, (await hits(page)).length + 1);
  });

  it('shows the tokens of plain words on request, and their words again', async () => {
    await page.reload();
    await waitForStatus(page, 'Ready');
    const shown = () => page.$eval('#keywords', (list) => (list as HTMLTextAreaElement).value.split('\n'));
    const words = await shown();
    expect(words).toContain('smart mirror');
    await click(page, '#as-tokens');
    expect(await shown()).toContain('s m a r t ▁ m i r r o r ▁ @smart_mirror');
    await click(page, '#as-tokens');
    expect(await shown()).toEqual(words);
  });
});
