import { RillError } from '../../errors.ts';
import type { ResultsFile } from './results-file.ts';
import type { CorpusStore } from './store.ts';
import { waitFor } from './wait.ts';

/** Lines that are read at once. */
const PAGE = 500;
/** How often it is looked for more. */
const POLL_MS = 1000;

/**
 * The lines that are there, in the order of the list; they stay in Redis.
 *
 * @param files in the list
 * @throws RillError `bad-argument` where some were taken out of Redis before.
 */
export async function* linesInOrder(store: CorpusStore, files: number): AsyncGenerator<string> {
  await checkTaken(store, 0);
  for (let first = 0; first < files; first += PAGE) {
    const page = await store.lines(first, Math.min(PAGE, files - first));
    yield* page.filter((line) => line !== null);
  }
}

/**
 * Writes results as they come, takes them out of Redis, and writes the file itself when all are there. Who is killed
 * meanwhile calls it again, with the same file.
 *
 * @param files in the list
 * @param onProgress called with the number of files that are written
 * @throws RillError `bad-argument` where another file has some of them, the signal's reason.
 */
export async function collectAll(
  store: CorpusStore,
  results: ResultsFile,
  files: number,
  onProgress: (files: number) => void,
  signal: AbortSignal,
): Promise<void> {
  try {
    await checkTaken(store, results.count);
    for (;;) {
      for await (const page of store.waiting()) {
        await Promise.all(page.map(({ index, line }) => results.add(index, line)));
        await results.flush();
        await store.take(page.map(({ index }) => index));
        onProgress(results.count);
      }
      if (results.count >= files) {
        break;
      }
      await waitFor(POLL_MS, signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    await results.close();
    throw error;
  }
  await results.finish();
}

async function checkTaken(store: CorpusStore, written: number): Promise<void> {
  const { taken } = await store.counts();
  if (taken > written) {
    throw new RillError('bad-argument', {
      got: `${taken} results that were taken out of the queue, and ${written} of them here`,
      expected: 'all that were taken',
      remedy: 'Go on with the file that they were collected into before, and follow.',
    });
  }
}
