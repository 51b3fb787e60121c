/** Drawing: a canvas in CSS pixels, pictures that are written round and round, colours. */
import { create } from './elements.ts';

/** A canvas to draw on, empty; lengths are CSS pixels, whatever the screen has. */
export interface Surface {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
}

/** @returns undefined where the canvas is not shown */
export function openSurface(canvas: HTMLCanvasElement): Surface | undefined {
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext('2d');
  if (!context || width === 0) {
    return undefined;
  }
  const scale = window.devicePixelRatio;
  const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== columns || canvas.height !== rows) {
    canvas.width = columns;
    canvas.height = rows;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = '12px system-ui, sans-serif';
  return { context, width, height };
}

export interface Area {
  left: number;
  top: number;
  width: number;
  height: number;
}

/**
 * Draws a picture whose columns are written round and round: the oldest at the left, in one or two pieces.
 *
 * @param count columns written so far
 * @param area where to; a full picture fills it
 */
export function drawRing(
  context: CanvasRenderingContext2D,
  ring: HTMLCanvasElement,
  count: number,
  first: number,
  area: Area,
): void {
  const { width: columns, height: rows } = ring;
  const scale = area.width / columns;
  for (let column = first; column < count;) {
    const piece = Math.min(columns - (column % columns), count - column);
    const left = area.left + (column - first) * scale;
    context.drawImage(ring, column % columns, 0, piece, rows, left, area.top, piece * scale, area.height);
    column += piece;
  }
}

const probe = document.body.appendChild(create('span'));
probe.hidden = true;

/** The colour that a CSS custom property has now, which may be `light-dark()`: as a canvas takes it. */
export function colour(name: string): string {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Night over blue to white. */
const SHADES = [
  [8, 18, 32],
  [15, 58, 117],
  [45, 142, 235],
  [236, 247, 255],
] as const;
/** What pictures in shades stand on. */
export const NIGHT = `rgb(${SHADES[0].join(' ')})`;

/** @param share 0 to 1 @returns red, green and blue */
export function shade(share: number): number[] {
  const at = Math.min(1, Math.max(0, share)) * (SHADES.length - 1);
  const below = Math.min(SHADES.length - 2, Math.floor(at));
  return SHADES[below].map((value, i) => value + (at - below) * (SHADES[below + 1][i] - value));
}
