import { expect, it } from 'vitest';
import { endOnce, type WayName } from '../../tools/ends/ends.ts';

const WAYS: readonly WayName[] = [
  'rill transcribe … | head -1',
  'a script, SIGINT',
  'a script that throws',
  'a script with an unhandled rejection',
  'a script that holds nothing',
];

/** One run of the ways that differ most; `npm run check:ends -- 100` makes a hundred of all. */
it.each(WAYS)('%s ends without a crash', async (name) => {
  expect(await endOnce(name)).toMatchObject({ isRight: true });
});
