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
