#!/usr/bin/env node
/** The command line: `rill <command> …`. */
import { main } from './command-line.ts';

// A reader that has seen enough (`rill … | head`) is no failure.
function endWithoutOutput(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') {
    process.exit(0);
  }
  process.stderr.write(`rill: the output cannot be written (${error.message})\n`);
  process.exit(1);
}
process.stdout.on('error', endWithoutOutput);
// Nor is one that does not want to be told.
process.stderr.on('error', () => undefined);

// Dawn keeps the event loop alive; what was written must be out before the process ends.
const status = await main(process.argv.slice(2));
process.stdout.write('', () => {
  if (process.stdout.errored) {
    endWithoutOutput(process.stdout.errored);
  }
  process.stderr.write('', () => process.exit(status));
});
