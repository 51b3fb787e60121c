import { expect, it } from 'vitest';
import { churn } from '../../tools/server/churn-run.ts';

/** A heap breathes; calls that are not given back would add some MB every second. */
const MOST_GROWTH = 1.5;

it('calls that come and go, good and bad, leave no memory behind, and hear what they hear alone', async () => {
  const samples = await churn({ minutes: 0.75, clients: 6, threads: 1 });
  const last = samples[samples.length - 1];
  expect(last.calls).toBeGreaterThan(30);
  expect(last.bad).toBeGreaterThan(5);
  const settled = samples.slice(Math.floor(samples.length / 2));
  expect(last.rss).toBeLessThan(MOST_GROWTH * Math.min(...settled.map(({ rss }) => rss)));
});
