/** A value over the seconds of a stream: as points, or as bars from 0. */
import { colour, openSurface } from './canvas.ts';
import { SECONDS, type TimeAxis } from './time-axis.ts';

const POINT_RADIUS = 2.5;
/** CSS pixels above the largest value and below 0, in which labels have room. */
const PADDING = 8;

export interface ChartKind {
  mark: 'points' | 'bars';
  /** The largest value; by default a round one above all that are shown. */
  most?: number;
}

interface Value {
  /** Seconds from the start of the stream, and how long the value holds. */
  end: number;
  seconds: number;
  value: number;
}

export class Chart {
  readonly #canvas: HTMLCanvasElement;
  readonly #kind: ChartKind;
  #values: Value[] = [];

  constructor(canvas: HTMLCanvasElement, kind: ChartKind) {
    this.#canvas = canvas;
    this.#kind = kind;
  }

  clear(): void {
    this.#values = [];
  }

  /**
   * @param end seconds from the start of the stream
   * @param seconds how long the value holds until then: the width of a bar
   */
  add(end: number, value: number, seconds = 0): void {
    this.#values = [...this.#values.filter((each) => each.end > end - SECONDS), { end, seconds, value }];
  }

  draw(axis: TimeAxis): void {
    const surface = openSurface(this.#canvas);
    if (!surface) {
      return;
    }
    const { context, height } = surface;
    const shown = this.#values.filter(({ end }) => end >= axis.first);
    const most = this.#kind.most ?? roundAbove(Math.max(...shown.map(({ value }) => value), 0));
    const y = (value: number) => PADDING + (1 - value / most) * (height - 2 * PADDING);
    axis.drawGrid(surface);
    const { left, width } = axis.span(surface);
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const value of [0, most / 2, most]) {
      context.fillStyle = colour('--line');
      context.fillRect(left, Math.round(y(value)), width, 1);
      context.fillStyle = colour('--dim');
      context.fillText(String(value), left - 8, y(value));
    }
    context.fillStyle = colour('--accent');
    for (const { end, seconds, value } of shown) {
      const right = axis.x(surface, end);
      if (this.#kind.mark === 'points') {
        context.beginPath();
        context.arc(right, y(value), POINT_RADIUS, 0, 2 * Math.PI);
        context.fill();
      } else {
        const start = Math.max(left, axis.x(surface, end - seconds));
        context.fillRect(start, y(value), Math.max(1, right - start - 1), y(0) - y(value));
      }
    }
  }
}

/** 1, 2 or 5 times a power of ten, at least 1. */
export function roundAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}
