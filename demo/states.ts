/** h and c of one layer as they evolve: a column for each look, h above c, each unit a row; and which layer it is. */
import { drawRing, NIGHT, openSurface, shade } from './canvas.ts';
import { element } from './elements.ts';

const COLUMNS = 160;
const ROWS = 128;

export class StatesView {
  readonly #canvas = element('states', HTMLCanvasElement);
  readonly #layer = element('layer', HTMLSelectElement);
  readonly #picture = document.createElement('canvas');
  #columns = 0;

  /** @param onLayer called when another layer, counted from 0, is to be looked at */
  constructor(onLayer: (layer: number) => void) {
    this.clear();
    this.#layer.addEventListener('change', () => {
      this.clear();
      onLayer(this.layer);
    });
  }

  /** The layer that is looked at, counted from 0. */
  get layer(): number {
    return Number(this.#layer.value);
  }

  /** Offers the layers of another model, and looks at the last. */
  setLayers(count: number): void {
    this.#layer.replaceChildren(...Array.from({ length: count }, (_, l) => new Option(String(l + 1), String(l))));
    this.#layer.value = String(count - 1);
  }

  clear(): void {
    this.#picture.width = COLUMNS;
    this.#picture.height = 2 * ROWS;
    this.#columns = 0;
  }

  add({ h, c }: { h: Float32Array; c: Float32Array }): void {
    const column = new ImageData(1, 2 * ROWS);
    for (const [half, values] of [h, c].entries()) {
      for (let row = 0; row < ROWS; row++) {
        const value = values[Math.floor((row * values.length) / ROWS)];
        // Around the middle shade; large states are squeezed.
        const share = 0.5 + 0.5 * Math.tanh(half === 0 ? value : value / 4);
        column.data.set([...shade(share), 255], 4 * (half * ROWS + row));
      }
    }
    this.#picture.getContext('2d')?.putImageData(column, this.#columns++ % COLUMNS, 0);
  }

  draw(): void {
    const surface = openSurface(this.#canvas);
    if (!surface) {
      return;
    }
    const { context, width, height } = surface;
    context.imageSmoothingEnabled = false;
    context.fillStyle = NIGHT;
    context.fillRect(0, 0, width, height);
    const first = Math.max(0, this.#columns - COLUMNS);
    drawRing(context, this.#picture, this.#columns, first, { left: 0, top: 0, width, height });
  }
}
