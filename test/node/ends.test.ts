import { expect, it } from 'vitest';
import { WAYS, endOnce, type WayName } from '../../tools/ends/ends.ts';

/** One run of each way; `npm run check:ends -- 100` makes a hundred. */
it.each(Object.keys(WAYS) as WayName[])('%s ends without a crash', async (name) => {
  expect(await endOnce(name)).toMatchObject({ isRight: true });
});
