/** Pictures of a page, as small PNG files. */
import { mkdir, writeFile } from 'node:fs/promises';
import type { Page } from 'puppeteer';
import UPNG from 'upng-js';
import { note } from '../terminal.ts';

/** Colours of a picture: enough for the page, and a third of the bytes. */
const COLOURS = 256;

/** A screenshot's pixels. */
export interface Frame {
  pixels: ArrayBuffer;
  width: number;
  height: number;
}

/** What the page shows now. @param selector an element, whole, in place of the window */
export async function frameOf(page: Page, selector?: string): Promise<Frame> {
  const shown = selector === undefined ? page : await page.waitForSelector(selector);
  if (!shown) {
    throw new Error(`the page has no ${selector}`);
  }
  const image = UPNG.decode((await shown.screenshot()).buffer as ArrayBuffer);
  return { pixels: UPNG.toRGBA8(image)[0], width: image.width, height: image.height };
}

/**
 * Writes one picture, or one that moves.
 *
 * @param path from the project's folder
 * @param delays how long each frame stays, in milliseconds
 */
export async function savePicture(path: string, frames: readonly Frame[], delays?: number[]): Promise<void> {
  const [{ width, height }] = frames;
  const pixels = frames.map((frame) => frame.pixels);
  const png = UPNG.encode(pixels, width, height, COLOURS, delays);
  const file = new URL(`../../${path}`, import.meta.url);
  await mkdir(new URL('.', file), { recursive: true });
  await writeFile(file, new Uint8Array(png));
  note(`${path}: ${Math.round(png.byteLength / 1000)} kB`);
}
