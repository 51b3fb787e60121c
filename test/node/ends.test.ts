import { expect, it } from 'vitest';
import { endOnce, type WayName } from '../../tools/ends/ends.ts';
import { alsoInAll } from '../support/scope.ts';

const WAYS = alsoInAll<WayName>(
  ['rill transcribe … | head -1', 'a script that throws'],
  ['a script, SIGINT', 'a script with an unhandled rejection', 'a script that holds nothing'],
);

/** One run of the ways that differ most; `npm run check:ends -- 100` makes a hundred of all. */
it.each(WAYS)('%s ends without a crash', async (name) => {
  expect(await endOnce(name)).toMatchObject({ isRight: true });
});
