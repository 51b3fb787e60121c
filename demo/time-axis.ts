/** The seconds that the charts show: one axis for all of them, from left to right, drawn below the last. */
import { colour, openSurface, type Surface } from './canvas.ts';
import { say } from './strings.ts';

/** Seconds that are shown at a time. */
export const SECONDS = 10;
/** CSS pixels at the left, for the labels of values, and at the right. */
const GUTTER = 36;
const MARGIN = 10;

export class TimeAxis {
  #now = 0;

  clear(): void {
    this.#now = 0;
  }

  /** Goes on to a second of the stream; never back. */
  reach(seconds: number): void {
    this.#now = Math.max(this.#now, seconds);
  }

  /** The first second that is shown. */
  get first(): number {
    return Math.max(0, this.#now - SECONDS);
  }

  /** Where the charts lie in a canvas. */
  span({ width }: Surface): { left: number; width: number } {
    return { left: GUTTER, width: width - GUTTER - MARGIN };
  }

  /** Where a second of the stream lies in a canvas. */
  x(surface: Surface, seconds: number): number {
    const { left, width } = this.span(surface);
    return left + ((seconds - this.first) / SECONDS) * width;
  }

  /** Draws a line for every second. */
  drawGrid(surface: Surface): void {
    const { context, height } = surface;
    context.fillStyle = colour('--line');
    for (const second of this.#seconds) {
      context.fillRect(Math.round(this.x(surface, second)), 0, 1, height);
    }
  }

  /** Draws the seconds themselves. */
  draw(canvas: HTMLCanvasElement): void {
    const surface = openSurface(canvas);
    if (!surface) {
      return;
    }
    const { context, width } = surface;
    context.fillStyle = colour('--dim');
    context.textBaseline = 'top';
    context.textAlign = 'right';
    const unit = say('seconds');
    context.fillText(unit, width, 4);
    const room = width - context.measureText(unit).width - 12;
    context.textAlign = 'center';
    for (const second of this.#seconds.filter((each) => this.x(surface, each) < room)) {
      context.fillText(String(second), this.x(surface, second), 4);
    }
  }

  get #seconds(): number[] {
    const first = Math.ceil(this.first);
    return Array.from({ length: Math.floor(this.first + SECONDS) - first + 1 }, (_, i) => first + i);
  }
}
