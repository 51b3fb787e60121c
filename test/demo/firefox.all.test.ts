import { describe, expect, it } from 'vitest';
import { findFirefox } from '../../src/node/browsers.mjs';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { hearAlexa, isHidden, serveDevelopment, text, waitForStatus } from './page.ts';

describe.runIf(findFirefox())('the demo page in Firefox', () => {
  it('hears on the CPU where it has no WebGPU', async () => {
    const site = await serveDevelopment();
    const browser = await launchBrowser('firefox', 'none');
    try {
      const page = await browser.newPage();
      await page.goto(site.url);
      await waitForStatus(page, 'Ready');
      expect(await text(page, '#runs-on')).toMatch(/^Runs on CPU.*: no WebGPU here\.$/);
      expect(await isHidden(page, '#notice')).toBe(true);
      await hearAlexa(page);
    } finally {
      await browser.close();
      await site.close();
    }
  });
});
