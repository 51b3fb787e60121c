import type { Page } from 'puppeteer';
import { describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { click, hearAlexa, serveBuild, text, waitForStatus, waitForText, type Site } from './page.ts';

/** Opens the build in a browser of its own, without a GPU. */
async function open(site: Site, then: (page: Page) => Promise<void>): Promise<void> {
  const browser = await launchBrowser('chrome', 'none');
  try {
    const page = await browser.newPage();
    await page.goto(site.url);
    await then(page);
  } finally {
    await browser.close();
    await site.close();
  }
}

describe('the built demo page', () => {
  it('is read, and previewed, before any script runs', async () => {
    const site = await serveBuild();
    const html = await (await fetch(site.url)).text();
    const content = (name: string) => new RegExp(`(?:name|property)="${name}" content="([^"]+)"`).exec(html)?.[1] ?? '';
    expect(/<h1[^>]*>([^<]+)</.exec(html)?.[1]).toContain('Speech recognition');
    expect(/<title[^>]*>([^<]+)</.exec(html)?.[1]).toBe(content('og:title'));
    expect(content('description')).toBe(content('og:description'));
    expect(content('twitter:card')).toBe('summary_large_image');
    const picture = new DataView(await (await fetch(new URL(content('og:image'), site.url))).arrayBuffer());
    // As a PNG's header has them.
    const size = [16, 20].map((at) => picture.getUint32(at));
    expect(size).toEqual(['og:image:width', 'og:image:height'].map((name) => Number(content(name))));
    expect(picture.byteLength).toBeLessThan(300_000);
    await site.close();
  });

  it('shares threads among many voices where its host takes the headers', async () => {
    await open(await serveBuild({ takesHeaders: true }), async (page) => {
      await waitForStatus(page, 'Ready');
      expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
      expect(await text(page, '#runs-on')).toMatch(/[2-4] threads/);
      await hearAlexa(page);
      await click(page, '#run-voices');
      await waitForText(page, '#voices-results', '8 voices on the CPU');
    });
  });

  it('says how much of the model has come while it is on its way, and what is prepared', async () => {
    const site = await serveBuild();
    await open({ ...site, url: `${site.url}nothing-here` }, async (page) => {
      await page.evaluateOnNewDocument(() => {
        const said: (string | number)[] = [];
        Object.assign(window, { said });
        new MutationObserver(() => {
          const bar = document.querySelector<HTMLProgressElement>('#progress');
          if (bar && !bar.hidden) {
            const words = ['status', 'progress-text'].map((id) => document.getElementById(id)?.textContent ?? '');
            said.push(...words, bar.position);
          }
        }).observe(document, { subtree: true, childList: true, attributes: true });
      });
      await page.goto(site.url);
      await waitForStatus(page, 'Ready');
      const said = await page.evaluate(() => (window as unknown as { said: (string | number)[] }).said);
      expect(said).toContain('Downloading the model…');
      expect(said).toContain('Preparing the CPU…');
      expect(said.some((each) => /^\d\.\d of 8\.4 MB$/.test(String(each)))).toBe(true);
      expect(said).not.toContain(1);
      expect(await page.$eval('#progress', (bar) => (bar as HTMLElement).hidden)).toBe(true);
    });
  });
});
