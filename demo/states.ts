/** h and c of one layer as they evolve: a column for each look, h above c, each unit a row. */
import { drawRing, fitCanvas, heat } from './elements.ts';

const COLUMNS = 160;
const ROWS = 128;

export class StatesView {
  readonly #canvas: HTMLCanvasElement;
  readonly #picture = document.createElement('canvas');
  #columns = 0;
  #drawn = true;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    this.clear();
    new ResizeObserver(() => (this.#drawn = false)).observe(canvas);
  }

  clear(): void {
    this.#picture.width = COLUMNS;
    this.#picture.height = 2 * ROWS;
    this.#columns = 0;
    this.#drawn = false;
  }

  add({ h, c }: { h: Float32Array; c: Float32Array }): void {
    const column = new ImageData(1, 2 * ROWS);
    for (const [half, values] of [h, c].entries()) {
      for (let row = 0; row < ROWS; row++) {
        const value = values[Math.floor((row * values.length) / ROWS)];
        // Around the middle colour; large states are squeezed.
        const share = 0.5 + 0.5 * Math.tanh(half === 0 ? value : value / 4);
        column.data.set([...heat(share), 255], 4 * (half * ROWS + row));
      }
    }
    this.#picture.getContext('2d')?.putImageData(column, this.#columns++ % COLUMNS, 0);
    this.#drawn = false;
  }

  draw(): void {
    if (this.#drawn) {
      return;
    }
    this.#drawn = true;
    const context = fitCanvas(this.#canvas);
    const { width, height } = this.#canvas;
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, width, height);
    const first = Math.max(0, this.#columns - COLUMNS);
    drawRing(context, this.#picture, this.#columns, first, { top: 0, width, height });
  }
}
