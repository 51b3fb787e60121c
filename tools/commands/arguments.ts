import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { RillError } from '../../src/errors.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import type { AdapterChoice } from '../../src/node/gpu.ts';
import { RUNTIME_NAMES, openRuntime, type Runtime, type RuntimeName } from '../runtime/runtime.ts';
import type { RandomSizes } from '../runtime/random-model.ts';
import { note } from '../terminal.ts';

/** One command of the command line. */
export interface Command {
  /** How it is called, without `rill`. */
  usage: string;
  summary: string;
  /** Lines on its options, where their names do not say enough. */
  details?: readonly string[];
  run(args: string[]): Promise<void>;
}

/** How a command is called: behind `rill`, or behind another program. */
export type Call = Pick<Command, 'usage'> & { program?: string };

/** What `--help` says of a command. */
export function helpOf({ usage, summary, details = [] }: Omit<Command, 'run'>): string {
  const lines = details.map((line) => `\n  ${line}`).join('');
  return `rill ${usage}\n  ${summary}${lines && `\n${lines}`}`;
}

/** A usage error: what was got, and how the command is called. */
export function usageError(got: string, { usage, program = 'rill' }: Call): RillError {
  return new RillError('bad-argument', { got, expected: `${program} ${usage}`, remedy: `See ${program} --help.` });
}

type Options = NonNullable<ParseArgsConfig['options']>;

/** Options of every command that runs the network. */
export const RUNTIME_OPTIONS = { runtime: { type: 'string' }, adapter: { type: 'string' } } as const satisfies Options;

/** Parses a command's arguments; anything unknown is a usage error. */
export function parse<const T extends Options>(
  command: Call,
  args: string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw usageError(cause instanceof Error ? cause.message : String(cause), command);
  }
}

/** A whole number of at least 1, or undefined when the option is not there. */
export function count(command: Call, name: string, text: string | undefined): number | undefined {
  const value = Number(text);
  if (text !== undefined && !(Number.isInteger(value) && value >= 1)) {
    throw usageError(`--${name} ${text} (it must be a whole number of at least 1)`, command);
  }
  return text === undefined ? undefined : value;
}

/** Whole numbers from 1, separated by commas. */
export function counts(command: Call, name: string, text: string, largest: number): number[] {
  const numbers = text.split(',').map(Number);
  if (!numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= largest)) {
    throw usageError(`--${name} ${text} (whole numbers from 1 to ${largest})`, command);
  }
  return numbers;
}

/** Numbers of encoder frames a step. */
export const chunkSizes = (command: Call, text: string) => counts(command, 'chunks', text, 128);

/** Options of benchmarks that can make up a network. */
export const RANDOM_OPTIONS = {
  'full-size': { type: 'boolean' },
  random: { type: 'string' },
} as const satisfies Options;

export const FULL_SIZE: RandomSizes = { dModel: 512, rnnHiddenSize: 1024, dimFeedforward: 2048, numEncoderLayers: 12 };
const SIZE_KEYS: Readonly<Record<string, keyof RandomSizes>> = {
  d: 'dModel',
  h: 'rnnHiddenSize',
  ff: 'dimFeedforward',
  layers: 'numEncoderLayers',
};

/** Sizes of the network to make up, if one is asked for: the full size, but for what is named (`d=64,layers=2`). */
export function randomNetwork(
  command: Call,
  { random, 'full-size': fullSize }: { random?: string; 'full-size'?: boolean },
): RandomSizes | undefined {
  const text = random ?? (fullSize ? '' : undefined);
  if (text === undefined) {
    return undefined;
  }
  const sizes = { ...FULL_SIZE };
  for (const pair of text.split(',').filter(Boolean)) {
    const [key, value] = pair.split('=');
    if (!Object.hasOwn(SIZE_KEYS, key) || !(Number.isInteger(Number(value)) && Number(value) >= 1)) {
      throw usageError(`--random with ${JSON.stringify(pair)}`, command);
    }
    sizes[SIZE_KEYS[key]] = Number(value);
  }
  return sizes;
}

/** The model that the project comes with; the package does not have it. */
export function bundledModel(command: Call): string {
  const folder = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));
  if (!existsSync(folder)) {
    throw usageError('no model folder', command);
  }
  return folder;
}

/** The dtype to keep matrices in, if one is named. */
export function weightDtype(command: Call, text: string | undefined): WeightDtype | undefined {
  const dtype = WEIGHT_DTYPES.find((each) => each === text);
  if (text !== undefined && dtype === undefined) {
    throw usageError(`--dtype ${text} (it must be ${WEIGHT_DTYPES.join(', ')})`, command);
  }
  return dtype;
}

/** The adapter to insist on, if any. */
export function adapterChoice(command: Call, adapter: string | undefined): AdapterChoice | undefined {
  if (adapter !== undefined && adapter !== 'gpu' && adapter !== 'software') {
    throw usageError(`--adapter ${adapter} (it must be gpu or software)`, command);
  }
  return adapter;
}

/** Runs `use` in the runtime that the options ask for, and names its adapter on stderr. */
export async function withRuntime<Result>(
  command: Call,
  { runtime: name, adapter }: { runtime?: string; adapter?: string },
  use: (runtime: Runtime) => Promise<Result>,
): Promise<Result> {
  if (name !== undefined && !RUNTIME_NAMES.includes(name as RuntimeName)) {
    throw usageError(`--runtime ${name} (it must be ${RUNTIME_NAMES.join(', ')})`, command);
  }
  const runtime = await openRuntime(name as RuntimeName | undefined, adapterChoice(command, adapter));
  note(`${runtime.adapter}, in ${runtime.name}`);
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}
