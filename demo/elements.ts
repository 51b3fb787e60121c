/** An element of the page that has to be there. */
export function element<Type extends HTMLElement>(id: string, type: new () => Type): Type {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no ${type.name} #${id}`);
  }
  return found;
}

export const button = (id: string) => element(id, HTMLButtonElement);
export const input = (id: string) => element(id, HTMLInputElement);

export function setText(id: string, text: string): void {
  element(id, HTMLElement).textContent = text;
}

/** A new element with a class and a text. */
export function create<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  className = '',
  text = '',
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/** The 2D context of a canvas whose pixels are those of the screen. */
export function fitCanvas(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio;
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext('2d');
  if (!context) {
    throw new Error('this browser has no 2D canvas');
  }
  return context;
}

/**
 * Draws a picture whose columns are written round and round: the oldest at the left, in one or two pieces.
 *
 * @param count columns written so far
 * @param area where to, in canvas pixels; a full picture fills it
 */
export function drawRing(
  context: CanvasRenderingContext2D,
  ring: HTMLCanvasElement,
  count: number,
  first: number,
  area: { top: number; width: number; height: number },
): void {
  const { width: columns, height: rows } = ring;
  const scale = area.width / columns;
  for (let column = first; column < count;) {
    const piece = Math.min(columns - (column % columns), count - column);
    const left = (column - first) * scale;
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

/** Dark blue over magenta to yellow, for 0 to 1. */
export function heat(share: number): [number, number, number] {
  const x = Math.min(1, Math.max(0, share));
  return [255 * Math.min(1, 1.6 * x), 255 * Math.max(0, 1.5 * x - 0.6), 255 * (0.25 + 0.75 * Math.sin(Math.PI * x))];
}
