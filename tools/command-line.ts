/** What `rill` does with its arguments, in whatever process. */
import { readFileSync } from 'node:fs';
import { RillError } from '../src/errors.ts';
import { helpOf, type Command } from './commands/arguments.ts';
import { bench } from './commands/bench.ts';
import { convert } from './commands/convert.ts';
import { corpus } from './commands/corpus.ts';
import { decode } from './commands/decode.ts';
import { dtypes } from './commands/dtypes.ts';
import { encode } from './commands/encode.ts';
import { evaluate } from './commands/eval.ts';
import { evaluateKeywords } from './commands/eval-keywords.ts';
import { exportModel } from './commands/export.ts';
import { features } from './commands/features.ts';
import { gradients } from './commands/gradients.ts';
import { inspect } from './commands/inspect.ts';
import { serve } from './commands/serve.ts';
import { spot } from './commands/spot.ts';
import { teach } from './commands/teach.ts';
import { trainModel } from './commands/train.ts';
import { transcribe } from './commands/transcribe.ts';
import { unteach } from './commands/unteach.ts';
import { exitStatus, failureLine } from './failures.ts';
import { note, print, withTerminal, type Terminal } from './terminal.ts';

export const COMMANDS: Readonly<Record<string, Command>> = {
  convert,
  inspect,
  export: exportModel,
  features,
  encode,
  decode,
  transcribe,
  corpus,
  spot,
  serve,
  eval: evaluate,
  'eval-keywords': evaluateKeywords,
  bench,
  dtypes,
  gradients,
  train: trainModel,
  teach,
  unteach,
};

function help(): string {
  const commands = Object.values(COMMANDS).flatMap((command) => Object.values(command.commands ?? { command }));
  const lines = commands.map(({ usage, summary }) => `  rill ${usage}\n      ${summary}`);
  return [
    'Streaming speech recognition on the GPU or the CPU.',
    lines.join('\n'),
    'rill <command> --help tells the options, rill --version the version.',
  ].join('\n\n');
}

/** From the package's own package.json, which stands above this file, compiled or not. */
function version(): string {
  for (const folder of ['..', '../..']) {
    try {
      const text = readFileSync(new URL(`${folder}/package.json`, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // Not there: one folder up.
    }
  }
  throw new Error('no package.json above the command line');
}

function findCommand(name: string | undefined): Command {
  if (name === undefined || !Object.hasOwn(COMMANDS, name)) {
    throw new RillError('bad-argument', {
      got: name === undefined ? 'no command' : `the command ${JSON.stringify(name)}`,
      expected: Object.keys(COMMANDS).join(', '),
      remedy: 'See rill --help.',
    });
  }
  return COMMANDS[name];
}

/** The command that is meant, where one has others below it, and what stands behind its name. */
function innermost(command: Command, args: readonly string[]): { command: Command; rest: string[] } {
  const [name = '', ...rest] = args;
  const { commands = {} } = command;
  return Object.hasOwn(commands, name) ? { command: commands[name], rest } : { command, rest: [...args] };
}

/** Options stand in front of `--`; behind it there are only names. */
const asksForHelp = (args: readonly string[]) => {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === '--help' || arg === '-h');
};

async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') {
    print(help());
    return 0;
  }
  if (name === '--version') {
    print(version());
    return 0;
  }
  try {
    const { command, rest } = innermost(findCommand(name), args);
    if (asksForHelp(rest)) {
      print(helpOf(command));
      return 0;
    }
    return (await command.run(rest)) ?? 0;
  } catch (error) {
    note(failureLine(error));
    return exitStatus(error);
  }
}

/**
 * Runs one command.
 *
 * @param args as they stand behind `rill`
 * @param terminal where it reads and writes, if not in the process's own streams
 * @returns the exit status: 0; 2 for bad usage or bad input; 1 for a failure of Rill or of the GPU
 */
export function main(args: readonly string[], terminal: Terminal = process): Promise<number> {
  return withTerminal(terminal, () => run(args));
}
