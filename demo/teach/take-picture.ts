import { colour, openSurface } from '../canvas.ts';
import type { ListedTake } from './take-list.ts';

/** CSS pixels of a bar and of the gap behind it. */
const [BAR, GAP] = [2, 1];
/** Quiet takes are drawn taller, up to this much. */
const MOST_GAIN = 8;

/** Draws a take's waveform: the phrase in colour on a ground of its own, what is trimmed off in grey. */
export function drawTake(canvas: HTMLCanvasElement, { waveform, start, end, problem }: ListedTake): void {
  const surface = openSurface(canvas);
  if (!surface) {
    return;
  }
  const { context, width, height } = surface;
  const { samples, sampleRate } = waveform;
  const seconds = samples.length / sampleRate;
  const x = (second: number) => (second / seconds) * width;
  context.fillStyle = colour('--tint');
  context.fillRect(x(start), 0, x(end) - x(start), height);
  const count = Math.floor(width / (BAR + GAP));
  const peaks = Array.from({ length: count }, (_, i) =>
    samples
      .subarray(Math.floor((i * samples.length) / count), Math.floor(((i + 1) * samples.length) / count))
      .reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0),
  );
  const gain = Math.min(MOST_GAIN, 1 / Math.max(1e-6, ...peaks));
  const inside = colour(problem === undefined ? '--accent' : '--bad');
  const outside = colour('--edge');
  peaks.forEach((peak, i) => {
    const second = ((i + 0.5) / count) * seconds;
    const tall = Math.max(1, Math.min(1, gain * peak) * (height - 4));
    context.fillStyle = second >= start && second <= end ? inside : outside;
    context.fillRect(i * (BAR + GAP), (height - tall) / 2, BAR, tall);
  });
}
