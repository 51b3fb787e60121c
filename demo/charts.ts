/** Charts over the seconds of a stream, by uPlot. */
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { colour } from './elements.ts';

const POINTS = 400;
const HEIGHT = 140;

interface Line {
  label: string;
  colour: string;
  /** Fill the area below, in CSS terms. */
  fill?: string;
  points?: boolean;
}

export class Chart {
  readonly #plot: uPlot;
  readonly #parent: HTMLElement;
  #data: number[][];
  #changed = false;

  constructor(parent: HTMLElement, lines: Line[], range?: [number, number]) {
    this.#parent = parent;
    this.#data = [[], ...lines.map(() => [])];
    const axis = {
      stroke: () => colour('--dim'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { show: false },
      size: 36,
    };
    this.#plot = new uPlot(
      {
        width: parent.clientWidth || 300,
        height: HEIGHT,
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false }, y: range ? { range } : {} },
        axes: [{ ...axis, size: 26 }, axis],
        series: [
          {},
          ...lines.map(({ label, colour: name, fill, points }) => ({
            label,
            stroke: () => colour(name),
            fill,
            width: 1.5,
            ...(points && { paths: () => null, points: { show: true, size: 5 } }),
          })),
        ],
      },
      [[], ...lines.map(() => [])],
      parent,
    );
    new ResizeObserver(() => {
      this.#plot.setSize({ width: parent.clientWidth, height: HEIGHT });
    }).observe(parent);
  }

  clear(): void {
    this.#data = this.#data.map(() => []);
    this.#changed = true;
  }

  add(x: number, ...values: number[]): void {
    [x, ...values].forEach((value, i) => {
      this.#data[i].push(value);
      if (this.#data[i].length > POINTS) {
        this.#data[i].shift();
      }
    });
    this.#changed = true;
  }

  draw(): void {
    if (this.#changed && this.#parent.clientWidth > 0) {
      this.#changed = false;
      this.#plot.setData(this.#data as uPlot.AlignedData);
    }
  }
}
