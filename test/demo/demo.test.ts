import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Browser, Page, Permission } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { fixturePath, wakeWordsFolder } from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';
import {
  choose,
  click,
  clickClip,
  hits,
  microphone,
  queued,
  serveBuild,
  serveDevelopment,
  setValue,
  text,
  waitForStatus,
  waitForText,
  type Site,
} from './page.ts';

describe.each(
  alsoInAll<readonly [string, () => Promise<Site>]>(
    [['as it is developed', () => serveDevelopment()]],
    [['built, from a sub-path, under a strict policy', () => serveBuild()]],
  ),
)('the demo page %s', (_, serve) => {
  let site: Site;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    site = await serve();
    browser = await launchBrowser('chrome', undefined, microphone('computer'));
    page = await browser.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  it('names weights, parameters and memory, and offers the bundled recordings', async () => {
    expect(await text(page, '#weights')).toBe('f32');
    expect(Number((await text(page, '#parameters')).replace(/\D/g, ''))).toBeGreaterThan(2e6);
    expect(parseFloat(await text(page, '#memory'))).toBeGreaterThan(8);
    expect(await page.$$eval('#clips button', (buttons) => buttons.length)).toBe(9);
  });

  it('hears what is spoken into the microphone, and lights up keywords', async () => {
    await click(page, '#microphone');
    await waitForText(page, '#text .word', 'computer');
    await page.waitForFunction(() => document.querySelectorAll('#hits li').length >= 1);
    expect((await hits(page))[0]).toBe('computer');
    expect(await page.$$eval('#text mark', (marks) => marks.length)).toBeGreaterThan(0);
    // From the last sample's capture: the CPU takes a few milliseconds.
    expect(parseFloat(await text(page, '#latency'))).toBeGreaterThan(0);
  });

  it('takes another keyword list in mid-stream, and says what is wrong with one', async () => {
    await setValue(page, '#keywords', 'ж');
    await page.waitForSelector('#keywords-error:not([hidden])');
    expect(await text(page, '#keywords-error')).toBe('Line 1: this model cannot spell “ж”.');
    await setValue(page, '#keywords', 'Computer @machine');
    await waitForText(page, '#hits', 'machine');
    expect(await page.$eval('#keywords-error', (error) => (error as HTMLElement).hidden)).toBe(true);
    await page.$eval('#hits li:last-child button', (button) => (button as HTMLElement).click());
    expect(await text(page, '#false-alarms')).toBe('1');
    await click(page, '#microphone');
    await waitForStatus(page, 'Ready');
  });

  // The worker's own test has the loss and the text; here the page tells of it.
  it.runIf(testsAll)('recovers from the loss of the GPU and keeps what was heard', async () => {
    await page.select('#device', 'webgpu');
    await waitForText(page, '#runs-on', 'asked for');
    await waitForStatus(page, 'Ready');
    await click(page, '#microphone');
    // By then what was heard before is gone.
    await waitForStatus(page, 'Listening');
    await waitForText(page, '#text .word', 'computer');
    await click(page, '#lose');
    await waitForStatus(page, 'The GPU is back');
    const marks = await page.$$eval('#text mark', (found) => found.length);
    expect((await text(page, '#text')).trim()).toMatch(/^computer/);
    await page.waitForFunction((count) => document.querySelectorAll('#text mark').length > count, {}, marks);
    await click(page, '#microphone');
    await page.select('#device', 'auto');
    await page.waitForFunction(() => !document.querySelector('#runs-on')?.textContent?.includes('the GPU before'));
    await waitForStatus(page, 'Ready');
  });

  it('shows the words of a bundled clip, as fast as it goes, with its figures', async () => {
    await click(page, '#real-time');
    await clickClip(page, 'smart-mirror');
    await waitForStatus(page, 'Heard in smart-mirror: smart mirror');
    expect(await page.$$eval('#text .word', (words) => words.map((word) => word.textContent))).toEqual([
      'smart',
      'mirror',
    ]);
    const factor = Number(await text(page, '#rtf'));
    expect(factor).toBeGreaterThan(0);
    expect(factor).toBeLessThan(2);
    await waitForText(page, '#speed', 'faster');
    expect(await text(page, '#speed')).toMatch(/^Runs on the CPU: \d+(\.\d)? times faster than speech\.$/);
    const drawn = await page.$eval('#timeline', (canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height);
      return data.some((value, i) => i % 4 < 3 && value > 0);
    });
    expect(drawn).toBe(true);
    // In the accent's colour of a light page.
    const charted = await page.$eval('#probabilities', (canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const { data } = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height);
      return Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 3).join()).includes(
        '11,107,203',
      );
    });
    expect(charted).toBe(true);
  });

  it('stops a recording with the button that says so, without a verdict', async () => {
    await click(page, '#real-time');
    await choose(page, `${wakeWordsFolder}/samples/stream.wav`);
    await waitForStatus(page, 'Listening to stream.wav');
    expect(await text(page, '#microphone-says')).toBe('Stop');
    await click(page, '#microphone');
    expect(await text(page, '#microphone-says')).toBe('Speak');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await text(page, '#status')).toContain('Ready');
    await click(page, '#real-time');
  });

  it('hears files that come together in turn, goes on behind a bad one, and hears none of the others when one is stopped', async () => {
    const [alexa, jarvis, stream] = ['alexa', 'jarvis', 'stream'].map(
      (name) => `${wakeWordsFolder}/samples/${name}.wav`,
    );
    await choose(page, alexa, fixturePath('golden/small/embed.npy'), jarvis);
    await waitForText(page, '#queue-files', '“jarvis”');
    expect(await queued(page)).toEqual(['alexa.wav “alexa”', 'embed.npy could not be decoded', 'jarvis.wav “jarvis”']);
    await click(page, '#real-time');
    await choose(page, stream, alexa);
    await waitForText(page, '#queue-files', 'stream.wav is heard now');
    await click(page, '#stop-queue');
    await waitForText(page, '#queue-files', 'alexa.wav stopped');
    expect(await text(page, '#microphone-says')).toBe('Speak');
    await click(page, '#real-time');
  });

  it('keeps the words of a recording that goes on in silence', async () => {
    const path = join(tmpdir(), `rill-long-${process.pid}.wav`);
    const wav = await readFile(`${wakeWordsFolder}/samples/alexa.wav`);
    const silence = Buffer.alloc(2 * 16000 * 60);
    const long = Buffer.concat([wav, silence]);
    long.writeUInt32LE(long.length - 8, 4);
    long.writeUInt32LE(long.length - 44, 40);
    await writeFile(path, long);
    await choose(page, path);
    await waitForStatus(page, ': alexa');
    expect(await text(page, '#text .word')).toBe('alexa');
    await rm(path);
  });

  it('changes chunk size, weights and method', async () => {
    await setValue(page, '#chunk', '8');
    expect(await text(page, '#chunk-value')).toContain('8 × 40 ms');
    await setValue(page, '#dtype', 'int8', 'change');
    await waitForText(page, '#weights', 'int8');
    await setValue(page, '#method', 'modified_beam_search', 'change');
    await waitForStatus(page, 'Ready');
    await clickClip(page, 'alexa');
    await waitForStatus(page, 'Heard in alexa: alexa');
    expect(await page.$eval('#method', (method) => (method as HTMLSelectElement).value)).toBe('modified_beam_search');
  });

  it('runs many voices at once', async () => {
    await setValue(page, '#voices', '2');
    await click(page, '#run-voices');
    await waitForText(page, '#voices-results', '4 voices');
  });

  it('says so when a file is no audio, and goes on', async () => {
    await choose(page, fixturePath('golden/small/config.json'));
    await waitForText(page, '#notice', 'could not be decoded');
    await choose(page, `${wakeWordsFolder}/samples/alexa.wav`);
    await waitForStatus(page, 'Heard in alexa.wav: alexa');
  });

  it('converts a dropped checkpoint and runs it', async () => {
    await choose(page, fixturePath('wake-words/checkpoint.pt'), `${wakeWordsFolder}/tokens.txt`);
    await waitForText(page, '#model-name', 'checkpoint.pt');
    await waitForStatus(page, 'Ready');
    await clickClip(page, 'jarvis');
    await waitForStatus(page, 'Heard in jarvis: jarvis');
    expect(await page.$eval('#save', (button) => (button as HTMLElement).hidden)).toBe(false);
  });

  it('takes a model folder', async () => {
    const files = ['config.json', 'model.safetensors', 'tokens.txt', 'keywords.txt'];
    await choose(page, ...files.map((name) => `${wakeWordsFolder}/${name}`));
    await waitForText(page, '#model-name', 'model.safetensors');
    await waitForStatus(page, 'Ready');
    await clickClip(page, 'athena');
    await waitForStatus(page, 'Heard in athena: athena');
  });

  it('takes an ONNX trio, which has other heads than the model before', async () => {
    const tokens = join(tmpdir(), `rill-${process.pid}`, 'tokens.txt');
    const { vocab_size: count } = JSON.parse(await readFile(fixturePath('golden/small/config.json'), 'utf8')) as {
      vocab_size: number;
    };
    await mkdir(dirname(tokens), { recursive: true });
    await writeFile(tokens, Array.from({ length: count }, (_, id) => `<${id}> ${id}\n`).join(''));
    const trio = ['encoder', 'decoder', 'joiner'].map((name) => fixturePath(`golden/formats/${name}.onnx`));
    await choose(page, ...trio, tokens);
    await waitForText(page, '#model-name', '.onnx');
    await waitForStatus(page, 'Ready');
    expect(await page.$$eval('#method option', (options) => options.map((option) => option.textContent))).toEqual([
      'greedy_search',
      'modified_beam_search',
    ]);
    await clickClip(page, 'alexa');
    await waitForStatus(page, 'alexa');
    await click(page, '#bundled');
    await waitForText(page, '#model-name', 'wake-words');
    await waitForStatus(page, 'Ready');
    await rm(dirname(tokens), { recursive: true });
  });

  it('says what is wrong with a damaged checkpoint, and goes on with the model it has', async () => {
    const damaged = join(tmpdir(), `rill-damaged-${process.pid}.pt`);
    await writeFile(damaged, (await readFile(fixturePath('golden/small/checkpoint.pt'))).subarray(0, 10_000));
    await choose(page, damaged);
    await page.waitForSelector('#notice:not([hidden])');
    expect(await text(page, '#notice')).toContain('expected');
    await rm(damaged);
    await clickClip(page, 'jarvis');
    await waitForStatus(page, 'Heard in jarvis: jarvis');
  });

  it('speaks Chinese', async () => {
    await page.select('#language', 'zh');
    expect(await text(page, '#microphone-says')).toBe('说话');
    expect(await page.$eval('html', (html) => html.lang)).toBe('zh');
    expect(await page.title()).toContain('语音识别');
    expect(await page.$eval('meta[name=description]', (meta) => meta.getAttribute('content'))).toContain('识别器');
    expect(await page.$eval('#timeline', (canvas) => canvas.ariaLabel)).toContain('波形');
    await page.select('#language', 'en');
    await page.close();
  });

  it('complained about nothing', () => {
    expect(complaints).toEqual([]);
  });
});

describe('the demo page', () => {
  let site: Site;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    site = await serveDevelopment();
    browser = await launchBrowser('chrome');
    page = await browser.newPage();
    await page.evaluateOnNewDocument(() => {
      document.addEventListener('DOMContentLoaded', () => {
        const said: string[] = [];
        Object.assign(window, { said });
        const status = document.querySelector('#status')!;
        new MutationObserver(() => said.push(status.textContent ?? '')).observe(status, { childList: true });
      });
    });
    await page.goto(site.url);
    await waitForStatus(page, 'Ready');
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  it('says little while it loads, for those who hear it', async () => {
    const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
    expect(said.length).toBeLessThanOrEqual(3);
    expect(said[said.length - 1]).toContain('Ready');
  });

  it('does not lose the focus with a button that goes', async () => {
    // At once: on a CPU the model is there soon.
    const focused = await page.$eval('#dtype', (dtype) => {
      (dtype as HTMLSelectElement).value = 'f16';
      dtype.dispatchEvent(new Event('change'));
      document.getElementById('cancel')?.focus();
      return document.activeElement?.id;
    });
    expect(focused).toBe('cancel');
    await waitForStatus(page, 'Ready');
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('status');
  });

  it('names every field, and each label names one', async () => {
    const unnamed = await page.$$eval('input, select, textarea, meter, progress', (fields) =>
      fields
        .filter((field) => !field.ariaLabel && ((field as HTMLInputElement).labels?.length ?? 0) === 0)
        .map(({ id }) => id),
    );
    expect(unnamed).toEqual([]);
    const crowded = await page.$$eval(
      'label',
      (labels) =>
        labels.filter((label) => label.querySelectorAll('input, select, textarea, button, output').length > 1).length,
    );
    expect(crowded).toBe(0);
  });

  it('offers to start anew when its worker has failed', async () => {
    await page.workers()[0].evaluate(() => {
      setTimeout(() => {
        throw new Error('out of order');
      });
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await clickClip(page, 'alexa');
    await waitForText(page, '#notice', 'out of order');
    expect(await text(page, '#retry')).toBe('Reload the page');
    expect(await page.$eval('#microphone', (button) => (button as HTMLButtonElement).disabled)).toBe(true);
    await Promise.all([page.waitForNavigation(), click(page, '#retry')]);
    await waitForStatus(page, 'Ready');
  });
});

describe.runIf(testsAll)('the demo page where the microphone', () => {
  let site: Site;

  beforeAll(async () => {
    site = await serveDevelopment();
  });
  afterAll(() => site.close());

  /** Opens the page in a browser of its own and asks for the microphone. */
  async function speak(flags: string[], permissions: Permission[], then: (page: Page) => Promise<void>): Promise<void> {
    const browser = await launchBrowser('chrome', undefined, flags);
    try {
      await browser.defaultBrowserContext().overridePermissions(new URL(site.url).origin, permissions);
      const page = await browser.newPage();
      await page.goto(site.url);
      await waitForStatus(page, 'Ready');
      await click(page, '#microphone');
      await then(page);
      await click(page, '#real-time');
      await clickClip(page, 'alexa');
      await waitForStatus(page, 'Heard in alexa: alexa');
    } finally {
      await browser.close();
    }
  }

  it('is refused says so, and goes on', async () => {
    await speak(['--use-fake-device-for-media-stream'], [], (page) =>
      waitForText(page, '#notice', 'permission refused').then(() => undefined),
    );
  });

  it('is not there says so, and goes on', async () => {
    await speak([], ['microphone'], (page) => waitForText(page, '#notice', 'no microphone').then(() => undefined));
  });

  it('gives nothing but silence says so', async () => {
    const path = join(tmpdir(), `rill-silence-${process.pid}.wav`);
    // The bundled recording with its samples set to zero.
    const wav = await readFile(`${wakeWordsFolder}/samples/alexa.wav`);
    await writeFile(path, wav.fill(0, 44));
    const flags = ['--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${path}`];
    await speak(flags, ['microphone'], (page) =>
      waitForText(page, '#notice', 'No sound for 2 s').then(() => undefined),
    );
    await rm(path);
  });
});

describe.runIf(testsAll)('the demo page whose model does not come', () => {
  it('lets the download be cancelled, and tried again', async () => {
    const site = await serveBuild({ stuck: 'model.safetensors' });
    const browser = await launchBrowser('chrome');
    try {
      const page = await browser.newPage();
      await page.goto(site.url);
      await waitForStatus(page, 'Downloading the model');
      // Cancelled before that it would be the second attempt that gets no answer.
      await site.asked;
      await page.waitForSelector('#cancel:not([hidden])');
      await click(page, '#cancel');
      await waitForStatus(page, 'cancelled');
      await click(page, '#retry');
      await waitForStatus(page, 'Ready');
    } finally {
      await browser.close();
      await site.close();
    }
  });
});
