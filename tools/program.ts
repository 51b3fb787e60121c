import { note } from './terminal.ts';

/**
 * Runs a program of its own, beside the command line, to its end: a failure is one line and status 1. Native packages keep
 * threads, so the process is ended once all is written.
 *
 * @param name that a failure begins with
 */
export async function runProgram(name: string, main: (args: string[]) => Promise<void>): Promise<void> {
  let status = 0;
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    note(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    status = 1;
  }
  process.stdout.write('', () => process.exit(status));
}
