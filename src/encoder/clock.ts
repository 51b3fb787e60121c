/** Changes of the clock that its tick is read off, and how long they may take: some browsers round to 100 ms. */
const TICKS = 3;
const PATIENCE_MS = 120;

let tick: number | undefined;

/**
 * The smallest step of `performance.now()`, in milliseconds: browsers round it, from 5 µs to 100 ms. Found out once, in
 * a few ticks.
 */
export function clockTick(): number {
  return (tick ??= measureTick());
}

function measureTick(): number {
  const start = performance.now();
  let shortest = PATIENCE_MS;
  let last = start;
  for (let changes = 0; changes < TICKS && last - start < PATIENCE_MS;) {
    const now = performance.now();
    if (now > last) {
      shortest = Math.min(shortest, now - last);
      last = now;
      changes++;
    }
  }
  return shortest;
}
