/** One panel of a plot: a value against the common x axis. */
export interface Panel {
  title: string;
  values: readonly number[];
}

const WIDTH = 720;
const PANEL_HEIGHT = 110;
const MARGIN = { left: 64, right: 16, top: 26, bottom: 30 };

/** The smallest of 1, 2, 5, 10, … that is no less than the value. */
function roundUp(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return unit * ([1, 2, 5].find((factor) => factor * unit >= value) ?? 10);
}

/** Panels below each other as SVG, each from zero up, so that growth shows as it is. */
export function plot(xLabel: string, x: readonly number[], panels: readonly Panel[]): string {
  const height = panels.length * PANEL_HEIGHT + MARGIN.bottom;
  const right = WIDTH - MARGIN.right;
  const lastX = Math.max(1e-9, ...x);
  const body = panels.flatMap(({ title, values }, i) => {
    const bottom = (i + 1) * PANEL_HEIGHT;
    const top = i * PANEL_HEIGHT + MARGIN.top;
    const most = roundUp(Math.max(...values));
    const points = values.map((value, n) => {
      const [px, py] = [MARGIN.left + (x[n] / lastX) * (right - MARGIN.left), bottom - (value / most) * (bottom - top)];
      return `${px.toFixed(1)},${py.toFixed(1)}`;
    });
    return [
      `<text x="${MARGIN.left}" y="${top - 8}">${title}</text>`,
      `<text x="${MARGIN.left - 6}" y="${top + 4}" text-anchor="end">${most}</text>`,
      `<text x="${MARGIN.left - 6}" y="${bottom}" text-anchor="end">0</text>`,
      `<path d="M${MARGIN.left} ${top}V${bottom}H${right}" fill="none" stroke="#888"/>`,
      `<polyline points="${points.join(' ')}" fill="none" stroke="#06c" stroke-width="1.5"/>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...body,
    `<text x="${right}" y="${height - 10}" text-anchor="end">${xLabel}: 0 to ${lastX.toFixed(1)}</text>`,
    '</svg>\n',
  ].join('\n');
}

/** A line through points of (x, y). */
export interface Curve {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
}

const CURVE_HEIGHT = 320;
const COLOURS = ['#06c', '#c40', '#282', '#82a', '#555'];

/**
 * Curves over a common x axis as SVG, y from zero to a round number; x, which spans decades, as log(1 + x).
 *
 * @param isLinear whether x is as it is, from zero to a round number, and points are not marked
 */
export function curves(
  labels: { x: string; y: string },
  lines: readonly Curve[],
  { isLinear = false }: { isLinear?: boolean } = {},
): string {
  const [left, right] = [MARGIN.left, WIDTH - MARGIN.right];
  const [top, bottom] = [MARGIN.top, CURVE_HEIGHT - 2 * MARGIN.bottom];
  const all = lines.flatMap(({ points }) => points);
  const lastX = all.reduce((most, [x]) => Math.max(most, x), 1);
  const decades = Math.ceil(Math.log10(1 + lastX));
  const mostX = roundUp(lastX);
  const highest = all.reduce((most, [, y]) => Math.max(most, Number.isFinite(y) ? y : 0), 0);
  const mostY = roundUp(isLinear ? highest : Math.max(highest, 1));
  const share = (x: number) => (isLinear ? x / mostX : Math.log10(1 + x) / decades);
  const px = (x: number) => (left + share(x) * (right - left)).toFixed(1);
  const py = (y: number) => (bottom - (y / mostY) * (bottom - top)).toFixed(1);
  const ticks = isLinear ? [0, mostX / 2, mostX] : [0, ...Array.from({ length: decades }, (_, i) => 10 ** i)];
  const body = lines.flatMap(({ name, points }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const shown = points.filter(([, y]) => Number.isFinite(y));
    const sorted = shown.toSorted(([a, b], [c, d]) => a - c || d - b);
    return [
      `<polyline points="${sorted.map(([x, y]) => `${px(x)},${py(y)}`).join(' ')}" fill="none" stroke="${colour}" stroke-width="1.5"/>`,
      ...(isLinear ? [] : sorted).map(([x, y]) => `<circle cx="${px(x)}" cy="${py(y)}" r="3" fill="${colour}"/>`),
      `<text x="${right}" y="${top + 16 * i}" text-anchor="end" fill="${colour}">${name}</text>`,
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${CURVE_HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${CURVE_HEIGHT}" fill="#fff"/>`,
    `<path d="M${left} ${top}V${bottom}H${right}" fill="none" stroke="#888"/>`,
    `<text x="${left - 6}" y="${top + 4}" text-anchor="end">${mostY}</text>`,
    `<text x="${left - 6}" y="${bottom}" text-anchor="end">0</text>`,
    `<text x="${left}" y="${top - 8}">${labels.y}</text>`,
    ...ticks.map((x) => `<text x="${px(x)}" y="${bottom + 18}" text-anchor="middle">${x}</text>`),
    `<text x="${right}" y="${CURVE_HEIGHT - 10}" text-anchor="end">${labels.x}</text>`,
    ...body,
    '</svg>\n',
  ].join('\n');
}
