/** The value below which a share of the values lies; between two of them in proportion, so that 0.5 is the median. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}

/** How long something took, in milliseconds: the middle, and what nine of ten stay above and below. */
export interface Timing {
  /** How often it was timed. */
  steps: number;
  medianMs: number;
  p10Ms: number;
  p90Ms: number;
}

const MOST_STEPS = 500;

/** Times something again and again for so many seconds, and at least `least` times. */
export async function time(step: () => Promise<unknown>, seconds: number, least: number): Promise<Timing> {
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < least || (performance.now() < end && times.length < MOST_STEPS)) {
    const start = performance.now();
    await step();
    times.push(performance.now() - start);
  }
  return timingOf(times);
}

/** @param times in milliseconds */
export const timingOf = (times: readonly number[]): Timing => ({
  steps: times.length,
  medianMs: percentile(times, 0.5),
  p10Ms: percentile(times, 0.1),
  p90Ms: percentile(times, 0.9),
});
