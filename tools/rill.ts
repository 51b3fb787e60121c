#!/usr/bin/env node
/** The command line: `rill <command> …`. */
import { RillError, type RillErrorCode } from '../src/errors.ts';
import { helpOf } from './commands/arguments.ts';
import { bench } from './commands/bench.ts';
import { convert } from './commands/convert.ts';
import { decode } from './commands/decode.ts';
import { dtypes } from './commands/dtypes.ts';
import { encode } from './commands/encode.ts';
import { evaluate } from './commands/eval.ts';
import { evaluateKeywords } from './commands/eval-keywords.ts';
import { exportModel } from './commands/export.ts';
import { features } from './commands/features.ts';
import { inspect } from './commands/inspect.ts';
import { spot } from './commands/spot.ts';
import { transcribe } from './commands/transcribe.ts';
import { print, printable } from './terminal.ts';

const COMMANDS = {
  convert,
  inspect,
  export: exportModel,
  features,
  encode,
  decode,
  transcribe,
  spot,
  eval: evaluate,
  'eval-keywords': evaluateKeywords,
  bench,
  dtypes,
};

/** Errors that are the caller's to mend; all others are a failure of Rill or of the GPU. */
const INPUT_ERRORS: readonly RillErrorCode[] = ['bad-argument', 'bad-audio', 'bad-checkpoint', 'bad-model'];

function help(): string {
  const lines = Object.values(COMMANDS).map(({ usage, summary }) => `  rill ${usage}\n      ${summary}`);
  return `Streaming speech recognition on WebGPU.\n\n${lines.join('\n')}`;
}

/** @returns the exit status */
async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--help' || name === '-h') {
    print(help());
    return 0;
  }
  try {
    const command = Object.entries(COMMANDS).find(([key]) => key === name)?.[1];
    if (!command) {
      throw new RillError('bad-argument', {
        got: name === undefined ? 'no command' : `the command ${JSON.stringify(name)}`,
        expected: Object.keys(COMMANDS).join(', '),
        remedy: 'See rill --help.',
      });
    }
    if (args.includes('--help') || args.includes('-h')) {
      print(helpOf(command));
      return 0;
    }
    await command.run(args);
    return 0;
  } catch (error) {
    const known = error instanceof RillError;
    const message = known
      ? error.message
      : `an unexpected failure: ${error instanceof Error ? error.message : String(error)}`;
    process.stderr.write(`rill: ${printable(message.replaceAll(/\s+/g, ' '))}\n`);
    return known && INPUT_ERRORS.includes(error.code) ? 2 : 1;
  }
}

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
