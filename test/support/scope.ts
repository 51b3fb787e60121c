/** Whether all is tested: every method, dtype, size and runtime (`npm run test:all`), or one of each (`npm test`). */
export const testsAll = process.env.RILL_TESTS === 'all';

/** What is tested each time, and the rest of its kind where all is. */
export const alsoInAll = <Case>(always: readonly Case[], rest: readonly Case[]): readonly Case[] =>
  testsAll ? [...always, ...rest] : always;
