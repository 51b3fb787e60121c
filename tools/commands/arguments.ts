import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DEVICE_NAMES, type DeviceName } from '../../src/engine.ts';
import { RillError } from '../../src/errors.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import type { AdapterChoice } from '../../src/node/gpu.ts';
import type { RandomSizes } from '../runtime/random-model.ts';
import { RUNTIME_NAMES, openRuntime, type Runtime } from '../runtime/runtime.ts';
import { note } from '../terminal.ts';
import { wordErrors } from '../../src/text/word-errors.ts';

/** An option as `parseArgs` takes it, and what `--help` says of it. */
interface Option {
  type: 'string' | 'boolean';
  short?: string;
  /** What it is when it is not given. */
  default?: string | boolean;
  /** What stands for its value in the help: `N`, `FILE`, or the words to choose from. */
  value?: string;
  help?: string;
  /** What happens when it is not given, where {@link default} does not tell. */
  otherwise?: string;
}

/** A command's options by name. */
export type Options = Readonly<Record<string, Option>>;

/** One command of the command line. */
export interface Command {
  /** How it is called, without `rill`. */
  usage: string;
  summary: string;
  options?: Options;
  /** A call that does something useful, without `rill`. */
  example?: string;
  /** Commands below this one, by the word behind its name. */
  commands?: Readonly<Record<string, Command>>;
  /** @returns the exit status, where it is another than 0 */
  run(args: string[]): Promise<number | undefined>;
}

/** How a command is called: behind `rill`, or behind another program. */
export type Call = Pick<Command, 'usage'> & { program?: string };

/** `-o, --output FILE` */
function flagOf([name, { short, value, type }]: readonly [string, Option]): string {
  const shown = type === 'boolean' ? '' : ` ${value ?? name.toUpperCase()}`;
  return `${short === undefined ? '' : `-${short}, `}--${name}${shown}`;
}

function optionHelp(option: Option): string {
  const { help = '', default: initial, otherwise = initial } = option;
  const isSaid = otherwise !== undefined && otherwise !== false && otherwise !== '';
  return isSaid ? `${help} (default: ${otherwise})` : help;
}

/** What `--help` says of a command. */
export function helpOf({ usage, summary, options = {}, example, commands }: Omit<Command, 'run'>): string {
  if (commands) {
    const inner = Object.values(commands).map((each) => `  rill ${each.usage}\n      ${each.summary}`);
    return [`rill ${usage}\n  ${summary}`, inner.join('\n')].join('\n\n');
  }
  const rows = Object.entries(options).map((entry) => [flagOf(entry), optionHelp(entry[1])]);
  const width = Math.max(0, ...rows.map(([flag]) => flag.length).filter((length) => length <= WIDEST_FLAG));
  const lines = rows.map(([flag, help]) =>
    flag.length <= width ? `  ${flag.padEnd(width)}  ${help}` : `  ${flag}\n  ${' '.repeat(width)}  ${help}`,
  );
  return [
    `rill ${usage}\n  ${summary}`,
    ...(lines.length > 0 ? [lines.join('\n')] : []),
    ...(example === undefined ? [] : [`Example:\n  rill ${example}`]),
  ].join('\n\n');
}

/** A longer one has a line of its own. */
const WIDEST_FLAG = 30;

/** The call whose help tells more: `rill spot --help`, `npm run bench:soak -- --help`. */
const helpCall = ({ usage, program }: Call) => `${program ?? `rill ${nameIn(usage)}`} --help`;

/** The words that a usage begins with: `spot`, `corpus submit`. */
const nameIn = (usage: string) => /^[a-z-]+(?: [a-z]+(?= |$))*/.exec(usage)?.[0] ?? '';

/** A usage error: what was got, and how the command is called. */
export function usageError(got: string, call: Call): RillError {
  const { usage, program = 'rill' } = call;
  return new RillError('bad-argument', {
    got,
    expected: `${program} ${usage}`,
    remedy: `See ${helpCall(call)}.`,
  });
}

/** Letters that may be wrong in an option that was meant. */
const TYPING_MISTAKES = 2;

/** The option that was probably meant. */
function nearestOption(flag: string, options: Options): string | undefined {
  const letters = (text: string) => [...text.replace(/^-+/, '')].join(' ');
  const distances = Object.keys(options).map((name) => {
    const { substitutions, insertions, deletions } = wordErrors(letters(name), letters(flag));
    return { name, distance: substitutions + insertions + deletions };
  });
  const [best] = distances.sort((a, b) => a.distance - b.distance);
  return best?.distance <= TYPING_MISTAKES ? `--${best.name}` : undefined;
}

function badOption(cause: unknown, command: Call, options: Options): RillError {
  const [firstLine] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
  const unknown = /^Unknown option '(-[^']*)'/.exec(firstLine)?.[1];
  return new RillError('bad-argument', {
    got: unknown === undefined ? firstLine.replace(/\.$/, '') : `the option ${unknown}`,
    expected: (unknown && nearestOption(unknown, options)) ?? 'an option of this command',
    remedy: `See ${helpCall(command)}.`,
  });
}

/** Options of every command that runs the network. */
export const RUNTIME_OPTIONS = {
  device: {
    type: 'string',
    value: DEVICE_NAMES.join('|'),
    help: 'what the network runs on',
    otherwise: 'auto, the faster one; webgpu with --adapter',
  },
  threads: {
    type: 'string',
    value: 'N',
    help: 'threads that many streams are shared out over on the CPU',
    otherwise: '1',
  },
  runtime: {
    type: 'string',
    value: RUNTIME_NAMES.join('|'),
    help: 'where the network runs',
    otherwise: 'node where it has the device, else chrome',
  },
  adapter: {
    type: 'string',
    value: 'gpu|software',
    help: 'the GPU adapter to insist on',
    otherwise: 'a GPU where there is one',
  },
} as const satisfies Options;

/** Options of commands that measure: WebGPU, unless the CPU is named. */
export const MEASURING_OPTIONS = {
  ...RUNTIME_OPTIONS,
  device: { ...RUNTIME_OPTIONS.device, otherwise: 'webgpu' },
} as const satisfies Options;

/** For commands that can print JSON. */
export const JSON_OPTION = {
  json: { type: 'boolean', help: 'results as JSON, one object a line' },
} as const satisfies Options;

/** For commands that listen for keywords. */
export const KEYWORDS_OPTION = {
  keywords: {
    type: 'string',
    value: 'FILE',
    help: 'what to listen for, one a line',
    otherwise: 'the model folder’s own',
  },
} as const satisfies Options;

/** Parses a command's arguments; anything unknown is a usage error. */
export function parse<const T extends Options>(
  command: Call,
  args: string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    throw badOption(cause, command, options);
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

/** A number from 0 on, or undefined when the option is not there. */
export const amount = (command: Call, name: string, text: string | undefined) =>
  numberUpTo(command, name, text, Infinity, 'a number from 0 on');

/** A number from 0 to 1, or undefined when the option is not there. */
export const fraction = (command: Call, name: string, text: string | undefined) =>
  numberUpTo(command, name, text, 1, 'a number from 0 to 1');

function numberUpTo(
  command: Call,
  name: string,
  text: string | undefined,
  most: number,
  expected: string,
): number | undefined {
  const value = text?.trim() === '' ? NaN : Number(text);
  if (text !== undefined && !(value >= 0 && value <= most)) {
    throw usageError(`--${name} ${text} (it must be ${expected})`, command);
  }
  return text === undefined ? undefined : value;
}

/** One of some words, or undefined when the option is not there. */
export function oneOf<Word extends string>(
  command: Call,
  name: string,
  text: string | undefined,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((each) => each === text);
  if (text !== undefined && word === undefined) {
    throw usageError(`--${name} ${text} (it must be ${words.join(', ')})`, command);
  }
  return word;
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
  'full-size': { type: 'boolean', help: 'the network of 83 M parameters, with random weights' },
  random: {
    type: 'string',
    value: 'SIZES',
    help: 'another network with random weights, such as d=128,h=256,ff=512,layers=4; the full size but for what is named',
  },
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
export const weightDtype = (command: Call, text: string | undefined): WeightDtype | undefined =>
  oneOf(command, 'dtype', text, WEIGHT_DTYPES);

/** The adapter to insist on, if any. */
export const adapterChoice = (command: Call, text: string | undefined): AdapterChoice | undefined =>
  oneOf(command, 'adapter', text, ['gpu', 'software']);

/** A runtime that is opened when it is first needed, and named on stderr then. */
export interface LazyRuntime {
  open(): Promise<Runtime>;
  /** Closes it, if it was opened. */
  close(): Promise<void>;
}

/** What the command line says of where to run. */
interface RuntimeWords {
  runtime?: string;
  adapter?: string;
  device?: string;
  threads?: string;
}

/**
 * The runtime that the options ask for.
 *
 * @param device where none is named
 */
export function lazyRuntime(command: Call, options: RuntimeWords, device?: DeviceName): LazyRuntime {
  const choice = {
    runtime: oneOf(command, 'runtime', options.runtime, RUNTIME_NAMES),
    adapter: adapterChoice(command, options.adapter),
    device: oneOf(command, 'device', options.device, DEVICE_NAMES) ?? device,
    threads: count(command, 'threads', options.threads),
  };
  if (choice.threads !== undefined && (choice.adapter !== undefined || choice.device === 'webgpu')) {
    throw usageError(`--threads ${choice.threads} with WebGPU`, command);
  }
  if (choice.adapter !== undefined && choice.device === 'cpu') {
    throw usageError(`--adapter ${choice.adapter} with --device cpu`, command);
  }
  let opened: Runtime | undefined;
  return {
    open: async () => {
      if (!opened) {
        opened = await openRuntime(choice);
        const { name, reason } = opened.device;
        note(`${name}, in ${opened.name}${choice.device === undefined && !choice.adapter ? ` (${reason})` : ''}`);
      }
      return opened;
    },
    close: async () => {
      await opened?.close();
    },
  };
}

/**
 * Runs `use` in the runtime that the options ask for.
 *
 * @param device where none is named
 */
export async function withRuntime<Result>(
  command: Call,
  options: RuntimeWords,
  use: (runtime: Runtime) => Promise<Result>,
  device?: DeviceName,
): Promise<Result> {
  const runtime = lazyRuntime(command, options, device);
  try {
    return await use(await runtime.open());
  } finally {
    await runtime.close();
  }
}
