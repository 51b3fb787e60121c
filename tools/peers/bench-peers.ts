/**
 * `npm run bench:peers`: Rill beside onnxruntime-web and TensorFlow.js in one page of a headless browser, or beside
 * onnxruntime-node and sherpa-onnx in Node; in turns. Prints tables on stdout.
 */
import { existsSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { RillError } from '../../src/errors.ts';
import {
  RANDOM_OPTIONS,
  adapterChoice,
  bundledModel,
  chunkSizes,
  count,
  counts,
  oneOf,
  parse,
  randomNetwork,
  usageError,
} from '../commands/arguments.ts';
import { runProgram } from '../program.ts';
import type { RandomSizes } from '../runtime/random-model.ts';
import { markdownTable, note, print, table } from '../terminal.ts';
import { measureInPage } from './in-page.ts';
import { IN_NODE, IN_PAGE, type Word } from './lineup.ts';
import type { Section } from './report.ts';
import { ONNX_RUNTIME } from './run-page.ts';
import type { StepSize } from './step-size.ts';

const command = {
  program: 'npm run bench:peers --',
  summary: 'time Rill beside its peers, in turns in one page or in Node',
  usage:
    '[model dir | --full-size | --random d=128,h=256,ff=512,layers=4] [--runtime chrome|firefox|node] [--what steps,load,text,stages]' +
    ` [--who ${[...new Set([...IN_PAGE, ...IN_NODE])].join(',')}] [--chunks 1,4,8] [--streams 32] [--rounds N] [--adapter gpu|software] [--markdown] [--json]`,
};
/** Steps of the encoder, loading, samples to text, and what the stages of that take; the last two in Node. */
const PARTS = ['steps', 'load', 'text', 'stages'] as const;
export type Part = (typeof PARTS)[number];
/** Encoder frames of each of many streams. */
const STREAM_FRAMES = 4;
const MOST_STREAMS = 4096;

/** What to measure. */
export interface Wanted {
  folder: string;
  /** A network to make up in place of the folder's. */
  random?: RandomSizes;
  parts: ReadonlySet<Part>;
  who: ReadonlySet<Word>;
  sizes: StepSize[];
  rounds: number;
}

/** What was measured: as tables, as values, and what went wrong. */
export interface Measured {
  sections: Section[];
  json: object;
  problems: string[];
  about: string;
}

/** Words of a list of names, each of them known. */
function words<Name extends string>(option: string, text: string | undefined, known: readonly Name[]): Set<Name> {
  const named = text?.split(',') ?? known;
  const unknown = named.find((word) => !known.some((each) => each === word));
  if (unknown !== undefined) {
    throw usageError(`--${option} ${text} (of ${known.join(', ')})`, command);
  }
  return new Set(known.filter((word) => named.includes(word)));
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    ...RANDOM_OPTIONS,
    what: { type: 'string' },
    who: { type: 'string' },
    chunks: { type: 'string', default: '1,4,8' },
    streams: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '8' },
    runtime: { type: 'string', default: 'chrome' },
    adapter: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    json: { type: 'boolean' },
  });
  if (positionals.length > 1) {
    throw usageError(`${positionals.length} model folders`, command);
  }
  const runtime = oneOf(command, 'runtime', values.runtime, ['chrome', 'firefox', 'node']) ?? 'chrome';
  const random = randomNetwork(command, values);
  if (random !== undefined && positionals.length > 0) {
    throw usageError('a model folder and a random network', command);
  }
  if (!existsSync(ONNX_RUNTIME)) {
    throw new RillError('bad-argument', {
      got: 'no tools/peers/node_modules',
      expected: 'the packages of the peers',
      remedy: 'Start it with npm run bench:peers, which installs them.',
    });
  }
  const streams = counts(command, 'streams', values.streams, MOST_STREAMS).filter((number) => number > 1);
  const wanted: Wanted = {
    folder: positionals[0] ?? bundledModel(command),
    random,
    parts: words('what', values.what, PARTS),
    who: words<Word>('who', values.who, runtime === 'node' ? IN_NODE : IN_PAGE).add('rill-f32'),
    sizes: [
      ...chunkSizes(command, values.chunks).map((frames) => ({ streams: 1, frames })),
      ...streams.map((number) => ({ streams: number, frames: STREAM_FRAMES })),
    ],
    rounds: count(command, 'rounds', values.rounds) ?? 1,
  };
  const [load] = loadavg();
  const measured =
    runtime === 'node'
      ? // Only there native packages are loaded.
        await (await import('./in-node.ts')).measureInNode(wanted)
      : await measureInPage(wanted, runtime, adapterChoice(command, values.adapter));
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load ${load.toFixed(1)} before and ${loadavg()[0].toFixed(1)} after`;
  note(`${measured.about}; ${machine}`);
  print(
    values.json
      ? JSON.stringify({ about: measured.about, machine, ...measured.json })
      : [`${measured.about}; ${machine}`, ...measured.sections.map((each) => shown(each, values.markdown))].join(
          '\n\n',
        ),
  );
  if (measured.problems.length > 0) {
    throw new RillError('internal', {
      got: `${measured.problems.length} without a figure (${measured.problems[0]})`,
      expected: 'the same output of all, and no failure',
      remedy: 'Leave that peer or chunk size out; if all differ, run npm test.',
    });
  }
}

function shown({ title, rows, below }: Section, markdown: boolean): string {
  return [title, markdown ? `\n${markdownTable(rows)}\n` : table(rows), ...below].join('\n').trimEnd();
}

await runProgram(command, main);
