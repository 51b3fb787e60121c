import type { Call } from './commands/arguments.ts';
import { note, print } from './terminal.ts';

/** A program of its own, beside the command line, that `npm run` starts. */
export interface Program extends Call {
  /** As it is called: `npm run bench:soak --`. */
  program: string;
  summary: string;
}

/**
 * Runs a program to its end: its help where that is asked for, and a failure as one line and status 1. Native packages keep
 * threads, so the process is ended once all is written.
 */
export async function runProgram(
  { program, usage, summary }: Program,
  main: (args: string[]) => Promise<void>,
): Promise<void> {
  const args = process.argv.slice(2);
  let status = 0;
  try {
    if (args.includes('--help') || args.includes('-h')) {
      print(`${program} ${usage}\n  ${summary}`);
    } else {
      await main(args);
    }
  } catch (error) {
    const name = program.replace(/^npm run | --$/g, '');
    note(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    status = 1;
  }
  process.stdout.write('', () => process.exit(status));
}
