import { RillError } from '../../errors.ts';

/** Utterances that the search begins with. */
export const MOST_UTTERANCES = 64;

/**
 * The largest batch that fits, halved from `most` on: what one buffer of the device cannot hold is refused before anything is
 * made, and what there is no memory for is found out by a step.
 *
 * @param attempt makes room for so many utterances and takes a step of them
 * @throws RillError what the attempt with one utterance throws, and at once whatever is no lack of room
 */
export async function largestBatch(most: number, attempt: (utterances: number) => Promise<void>): Promise<number> {
  for (let utterances = most; ; utterances = Math.floor(utterances / 2)) {
    try {
      await attempt(utterances);
      return utterances;
    } catch (error) {
      const lacksRoom = error instanceof RillError && (error.code === 'gpu' || error.code === 'bad-argument');
      if (!lacksRoom || utterances <= 1) {
        throw error;
      }
    }
  }
}
