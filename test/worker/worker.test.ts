import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../../tools/runtime/browser.ts';
import { wakeWordsFolder } from '../support/fixtures.ts';
import { alsoInAll, testsAll } from '../support/scope.ts';

interface Heard {
  words: { word: string; start: number }[];
  errors: string[];
  lost: number;
  recovered: number;
  featureFrames: number;
}

/**
 * `stream.wav` in pieces of `pieceSeconds` through a worker, the device lost after each of `losses` pieces; what cannot be
 * lost runs on what is faster.
 */
const SCRIPT = (pieceSeconds: number, losses: number[], pauseMs: number) => `(async () => {
  const { RecognizerClient, readWav } = await import(${JSON.stringify(entry)});
  const heard = { words: [], errors: [], lost: 0, recovered: 0, featureFrames: 0 };
  const worker = new Worker('/worker.ts', { type: 'module' });
  const client = new RecognizerClient(worker, {
    onDeviceLost: () => heard.lost++,
    onRecovered: () => heard.recovered++,
    onRecoveryFailed: (error) => heard.errors.push(String(error)),
  });
  await client.load('wake-words/', { device: '${losses.length > 0 ? 'webgpu' : 'auto'}' });
  const bytes = await (await fetch('wake-words/samples/stream.wav')).arrayBuffer();
  const { samples, sampleRate } = readWav(new Uint8Array(bytes));
  let done;
  const ended = new Promise((resolve) => (done = resolve));
  const stream = await client.createStream({
    features: true,
    onFeatures: (features) => (heard.featureFrames += features.length / 80),
    onError: (error) => (heard.errors.push(String(error)), done()),
    onUpdate: ({ result, ended }) => {
      if (result.isFinal) heard.words.push(...result.words);
      if (ended) done();
    },
  });
  const piece = Math.round(${pieceSeconds} * sampleRate);
  const losses = ${JSON.stringify(losses)};
  for (let at = 0, n = 0; at < samples.length; at += piece, n++) {
    stream.push({ samples: samples.subarray(at, at + piece), sampleRate });
    if (losses.includes(n)) client.ask('loseDevice');
    if (${pauseMs}) await new Promise((resolve) => setTimeout(resolve, ${pauseMs}));
  }
  stream.finish();
  await ended;
  client.dispose();
  const refused = await client.load('wake-words/').then(() => 'loaded', (error) => error.code);
  if (refused !== 'closed') heard.errors.push('after dispose: ' + refused);
  return heard;
})()`;

const entry = `/@fs${fileURLToPath(new URL('../../src/index.ts', import.meta.url))}`;

describe('a recognizer in a worker', () => {
  let server: ViteDevServer;
  let browser: Browser;
  let page: Page;
  let expected: Heard;

  // As text: the test runner rewrites imports inside functions.
  const hear = async (pieceSeconds: number, losses: number[], pauseMs = 0) =>
    (await page.evaluate(SCRIPT(pieceSeconds, losses, pauseMs))) as Heard;

  beforeAll(async () => {
    server = await createServer({
      configFile: fileURLToPath(new URL('../../vite.config.ts', import.meta.url)),
      logLevel: 'error',
      publicDir: fileURLToPath(new URL('..', `file://${wakeWordsFolder}/`)),
      server: { port: 0, host: '127.0.0.1', watch: null },
    });
    await server.listen();
    browser = await launchBrowser('chrome');
    page = await browser.newPage();
    await page.goto(server.resolvedUrls?.local[0] ?? '');
    expected = await hear(0.5, []);
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  /** A word may come a frame or two elsewhere where the encoder started anew. */
  const same = ({ words, errors }: Heard) => {
    expect(errors).toEqual([]);
    expect(words.map(({ word }) => word)).toEqual(expected.words.map(({ word }) => word));
    words.forEach(({ word, start }, i) => {
      expect(Math.abs(start - expected.words[i].start), `${word} at ${start} s`).toBeLessThan(0.2);
    });
  };

  it('hears what it should', () => {
    expect(expected.errors).toEqual([]);
    expect(expected.words.map(({ word }) => word)).toEqual(
      'computer view glass alexa snowboy jarvis smart mirror'.split(' '),
    );
  });

  it.each(
    alsoInAll<readonly [string, number, number[], number]>(
      [],
      [
        ['while all of it is being decoded', 0.5, [20], 0],
        ['with the whole of it in one push', 60, [0], 0],
        ['twice, while audio keeps coming', 0.1, [60, 200], 12],
      ],
    ),
  )('goes on after the device was lost %s', async (_, pieceSeconds, losses, pauseMs) => {
    const heard = await hear(pieceSeconds, losses, pauseMs);
    same(heard);
    expect([heard.lost, heard.recovered]).toEqual([losses.length, losses.length]);
    expect(Math.abs(heard.featureFrames - expected.featureFrames)).toBeLessThanOrEqual(2 * losses.length);
  });

  it('tells the streams of a model that another takes the place of, and goes on with new ones', async () => {
    const outcome = await page.evaluate(`(async () => {
      const { RecognizerClient, readWav } = await import(${JSON.stringify(entry)});
      const client = new RecognizerClient(new Worker('/worker.ts', { type: 'module' }));
      await client.load('wake-words/');
      const errors = [];
      await client.createStream({ onUpdate: () => {}, onError: ({ code }) => errors.push(code) });
      await client.load('wake-words/');
      const bytes = await (await fetch('wake-words/samples/alexa.wav')).arrayBuffer();
      const text = await new Promise(async (resolve, reject) => {
        const stream = await client.createStream({
          onError: reject,
          onUpdate: ({ result, ended }) => ended && resolve(result.text),
        });
        stream.push(readWav(new Uint8Array(bytes)));
        stream.finish();
      });
      client.dispose();
      return { errors, text };
    })()`);
    expect(outcome).toEqual({ errors: ['closed'], text: 'alexa' });
  });

  it.runIf(testsAll)('gives the device of a model back when another is loaded', async () => {
    await page.evaluate(`(async () => {
      const { RecognizerClient } = await import(${JSON.stringify(entry)});
      window.client = new RecognizerClient(new Worker('/worker.ts', { type: 'module' }));
      await client.load('wake-words/', { device: 'webgpu' });
    })()`);
    const worker = page.workers()[page.workers().length - 1];
    await worker.evaluate(`
      globalThis.destroyed = 0;
      const { destroy } = GPUDevice.prototype;
      GPUDevice.prototype.destroy = function () {
        destroyed++;
        return destroy.call(this);
      };
    `);
    await page.evaluate(`client.load('wake-words/').then(() => undefined)`);
    expect(await worker.evaluate('destroyed')).toBe(1);
    await page.evaluate('client.dispose()');
  });

  it('says so when the worker’s script cannot be loaded', async () => {
    const error = await page.evaluate(`(async () => {
      const { RecognizerClient } = await import(${JSON.stringify(entry)});
      const client = new RecognizerClient(new Worker('/missing/worker.js', { type: 'module' }));
      return client.load('wake-words/').then(() => 'loaded', ({ code, message }) => code + ': ' + message);
    })()`);
    expect(error).toMatch(/^worker: got a worker whose script could not be loaded/);
  });

  it('says so when the worker’s file does not call serveRecognizer', async () => {
    const error = await page.evaluate(`(async () => {
      const { RecognizerClient } = await import(${JSON.stringify(entry)});
      const worker = new Worker(URL.createObjectURL(new Blob(['"nothing"'], { type: 'text/javascript' })));
      const client = new RecognizerClient(worker, { startSeconds: 0.5 });
      return client.load('wake-words/').then(() => 'loaded', ({ code, message }) => code + ': ' + message);
    })()`);
    expect(error).toMatch(/^worker: got a worker that has not called serveRecognizer/);
  });
});
