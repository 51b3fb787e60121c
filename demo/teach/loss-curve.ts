/** The loss of each step, and its course without the ups and downs. */
import { colour, openSurface } from '../canvas.ts';
import { roundAbove } from '../chart.ts';

/** CSS pixels at the left, for the labels of values; below, for those of steps; and at the top. */
const [GUTTER, FOOT, TOP] = [36, 20, 8];
/** What a step counts in the smoothed course. */
const NEWEST_SHARE = 0.12;
/** The course may be drawn cut off: the first steps are far above all others. */
const SHARE_SHOWN = 0.95;

export class LossCurve {
  readonly #canvas: HTMLCanvasElement;
  #losses: number[] = [];
  #total = 1;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    const draw = () => {
      this.#draw();
    };
    new ResizeObserver(draw).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  }

  clear(): void {
    this.#losses = [];
    this.#draw();
  }

  /** Takes the loss of a step, counted from 1; steps behind it, which are taken again, go. */
  add(step: number, loss: number, total: number): void {
    this.#losses = [...this.#losses.slice(0, step - 1), loss];
    this.#total = total;
    requestAnimationFrame(() => {
      this.#draw();
    });
  }

  #draw(): void {
    const surface = openSurface(this.#canvas);
    if (!surface) {
      return;
    }
    const { context, width, height } = surface;
    const sorted = this.#losses.filter(Number.isFinite).sort((a, b) => a - b);
    const most = roundAbove(sorted[Math.floor(SHARE_SHOWN * (sorted.length - 1))] ?? 1);
    const x = (step: number) => GUTTER + (step / this.#total) * (width - GUTTER - 10);
    const y = (loss: number) => TOP + (1 - Math.min(1, loss / most)) * (height - TOP - FOOT);
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    for (const value of [0, most / 2, most]) {
      context.fillStyle = colour('--line');
      context.fillRect(GUTTER, Math.round(y(value)), width - GUTTER - 10, 1);
      context.fillStyle = colour('--dim');
      context.fillText(String(value), GUTTER - 8, y(value));
    }
    context.textBaseline = 'top';
    context.textAlign = 'center';
    for (const step of [0, 0.5, 1].map((share) => Math.round(share * this.#total))) {
      context.fillText(String(step), x(step), height - FOOT + 6);
    }
    this.#drawLine(context, this.#losses, { x, y, colour: '--edge', width: 1 });
    this.#drawLine(context, smoothed(this.#losses), { x, y, colour: '--accent', width: 2 });
  }

  #drawLine(
    context: CanvasRenderingContext2D,
    values: readonly number[],
    line: { x: (step: number) => number; y: (loss: number) => number; colour: string; width: number },
  ): void {
    context.strokeStyle = colour(line.colour);
    context.lineWidth = line.width;
    context.lineJoin = 'round';
    context.beginPath();
    values.forEach((value, i) => {
      context.lineTo(line.x(i + 1), line.y(value));
    });
    context.stroke();
  }
}

/** An exponential mean from the left. */
function smoothed(values: readonly number[]): number[] {
  let mean = values[0] ?? 0;
  return values.map((value) => (mean += NEWEST_SHARE * (value - mean)));
}
