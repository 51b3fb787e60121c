import { loadavg } from 'node:os';
import { RillError } from '../../src/errors.ts';
import { WEIGHT_DTYPES } from '../../src/model/dtypes.ts';
import { METHOD_NAMES, type KernelChoice } from '../../src/webgpu/methods.ts';
import { readModelFiles } from '../files.ts';
import {
  STREAM_CHUNK,
  UTTERANCE_FRAMES,
  type BenchOutput,
  type BenchSections,
  type LoadFigures,
  type MethodFigures,
  totalBytes,
} from '../runtime/bench-job.ts';
import type { Timing } from '../runtime/statistics.ts';
import { Progress, markdownTable, megabytes, print, table, type Rows } from '../terminal.ts';
import {
  FULL_SIZE,
  JSON_OPTION,
  RANDOM_OPTIONS,
  MEASURING_OPTIONS,
  bundledModel,
  chunkSizes,
  counts,
  parse,
  randomNetwork,
  usageError,
  weightDtype,
  withRuntime,
  type Call,
  type Command,
  type Options,
} from './arguments.ts';

const usage = 'bench [model dir] [options]';

const OPTIONS = {
  ...RANDOM_OPTIONS,
  what: {
    type: 'string',
    value: 'SECTIONS',
    help: 'chunks, streams, batches, kernels, methods, separated by commas, or the numbers of one or more of them:',
    otherwise: 'all; of the full size, chunks',
  },
  chunks: { type: 'string', value: 'N,…', help: 'encoder frames a step of one stream', otherwise: '1,2,4,8,16' },
  streams: { type: 'string', value: 'N,…', help: 'streams in one step', otherwise: '1,2,4,8,16,32,64,128,256' },
  batches: { type: 'string', value: 'N,…', help: 'utterances side by side', otherwise: '1,2,4,8,16,32' },
  kernels: { type: 'string', value: 'N,…', help: 'streams of a step whose kernels are timed', otherwise: '1,64' },
  methods: { type: 'string', value: 'N,…', help: 'streams that methods of kernels are compared for', otherwise: '16' },
  dtype: {
    type: 'string',
    value: WEIGHT_DTYPES.join('|'),
    help: 'what matrices are kept as',
    otherwise: 'as in the folder',
  },
  method: {
    type: 'string',
    value: 'NAME',
    help: `the method of kernels: ${METHOD_NAMES.join(', ')}`,
    otherwise: 'the fastest',
  },
  seconds: { type: 'string', value: 'S', default: '4', help: 'for each row, at the most' },
  ...JSON_OPTION,
  markdown: { type: 'boolean', default: false, help: 'tables for a document' },
  ...MEASURING_OPTIONS,
} as const satisfies Options;

/** What each section measures by default. */
const ALL: BenchSections = {
  chunks: [1, 2, 4, 8, 16],
  streams: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  batches: [1, 2, 4, 8, 16, 32],
  kernels: [1, 64],
  methods: [16],
};
/** The full-size network takes long on a software adapter: by default this much of it. */
const LITTLE: BenchSections = { chunks: [1, 4], streams: [], batches: [], kernels: [], methods: [] };
const SECTIONS = ['chunks', 'streams', 'batches', 'kernels', 'methods'] as const;
const MOST_STREAMS = 4096;

/** The sections named, or those whose numbers are given, or `otherwise`. */
function chooseSections(
  command: Call,
  values: Partial<Record<'what' | keyof BenchSections, string>>,
  otherwise: BenchSections,
): BenchSections {
  const named = values.what?.split(',') ?? SECTIONS.filter((section) => values[section] !== undefined);
  const unknown = named.find((section) => !SECTIONS.some((each) => each === section));
  if (unknown !== undefined) {
    throw usageError(`--what ${values.what} (it must be of ${SECTIONS.join(', ')})`, command);
  }
  const sections = { ...otherwise };
  for (const section of SECTIONS) {
    const text = values[section];
    if (named.length > 0 && !named.includes(section)) {
      sections[section] = [];
    } else if (text !== undefined) {
      sections[section] =
        section === 'chunks' ? chunkSizes(command, text) : counts(command, section, text, MOST_STREAMS);
    } else if (named.length > 0) {
      sections[section] = ALL[section];
    }
  }
  return sections;
}

const TIMES = ['median ms', 'p10', 'p90'];
/** Of a few steps there is a median and no tenth. */
const FEW_STEPS = 5;
const times = ({ medianMs, p10Ms, p90Ms, steps }: Timing) => [
  medianMs.toFixed(2),
  ...[p10Ms, p90Ms].map((ms) => (steps < FEW_STEPS ? '–' : ms.toFixed(2))),
];
const whole = (value: number) => Math.round(value).toLocaleString('en');

/** `texels` and so on, for one part or both. */
const choiceName = ({ convolutions, matrices }: KernelChoice) =>
  convolutions === matrices ? matrices : `${matrices}, convolutions ${convolutions}`;

/** One name where all sections have the same. */
function chosenNames(chosen: BenchOutput['chosen']): string {
  const names = Object.entries(chosen).map(([section, choice]) => [section, choiceName(choice)] as const);
  return new Set(names.map(([, name]) => name)).size === 1
    ? names[0][1]
    : names.map(([section, name]) => `${name} (${section})`).join('; ');
}

function methodTable({ streams, steps, rehearsals, chosen }: MethodFigures): { title: string; rows: Rows } {
  const sizes = steps.map(({ lanes, frames }) => `${lanes} × ${frames}`);
  const anyRefused = rehearsals.some(({ refused }) => refused !== undefined);
  const rows = rehearsals.map(({ choice, ms, refused }) => [
    choiceName(choice),
    ...(ms
      ? [...ms.embedding, ...ms.layers].map((each) => each.toFixed(2))
      : Array<string>(2 * steps.length).fill('–')),
    ...(anyRefused ? [refused ?? ''] : []),
  ]);
  return {
    title: `Methods, ms of the embedding and of one layer in steps of streams × frames; for ${streams} streams the choice is ${choiceName(chosen)}`,
    rows: [
      [
        'matrices',
        ...['embedding', 'layer'].flatMap((part) => sizes.map((size) => `${part} ${size}`)),
        ...(anyRefused ? ['refused'] : []),
      ],
      ...rows,
    ],
  };
}

/** The tables of what was measured, each under a title. */
function tables({
  readGBps,
  chunks,
  streams,
  batches,
  kernels,
  methods,
}: BenchOutput): { title: string; rows: Rows }[] {
  const chunkRows = chunks.map((chunk) => [
    String(chunk.chunkFrames),
    ...times(chunk),
    chunk.realTimeFactor.toFixed(3),
    String(chunk.dispatches ?? '–'),
    chunk.weightBytes === undefined ? '–' : megabytes(chunk.weightBytes),
    chunk.weightGBps?.toFixed(2) ?? '–',
    chunk.weightGBps !== undefined && readGBps !== undefined
      ? `${((100 * chunk.weightGBps) / readGBps).toFixed(0)} %`
      : '–',
    megabytes(totalBytes(chunk.memory)),
    String(chunk.steps),
  ]);
  const streamRows = streams.map((row) => [
    String(row.streams),
    ...times(row),
    whole(row.inputFramesPerSecond),
    row.realTimeStreams === undefined ? '–' : String(row.realTimeStreams),
    megabytes(totalBytes(row.memory)),
    String(row.steps),
  ]);
  const batchRows = batches.map((row) => [
    String(row.utterances),
    ...times(row),
    whole(row.inputFramesPerSecond),
    row.realTimeFactor.toFixed(4),
    megabytes(totalBytes(row.memory)),
    String(row.steps),
  ]);
  const most = streams.reduce((largest, row) => (row.keepsUp ? Math.max(largest, row.streams) : largest), 0);
  const kernelTables = kernels.map((profile) => {
    const total = profile.kernels.reduce((all, { ms }) => all + ms, 0);
    const rows = profile.kernels.map(({ kernel, dispatches, ms }) => [
      kernel,
      String(dispatches),
      ms.toFixed(3),
      `${((100 * ms) / total).toFixed(1)} %`,
    ]);
    return {
      title: `Kernels of one step: ${profile.streams} streams, ${STREAM_CHUNK} encoder frames of each; ${total.toFixed(2)} ms in all`,
      rows: [['kernel', 'dispatches', 'ms', 'share'], ...rows],
    };
  });
  const costs = ['RTF', 'dispatches', 'weights MB', 'GB/s', 'of read', 'MB', 'steps'];
  return [
    {
      title: 'One stream, by encoder frames a chunk (40 ms each)',
      rows: [['frames', ...TIMES, ...costs], ...chunkRows],
    },
    {
      title: `Streams in one step, ${STREAM_CHUNK} encoder frames of each; the most that kept up, nine steps in ten: ${most}`,
      rows: [['streams', ...TIMES, 'input frames/s', 'at real time', 'MB', 'steps'], ...streamRows],
    },
    {
      title: `Utterances of ${UTTERANCE_FRAMES} feature frames (10 ms each) side by side`,
      rows: [['utterances', ...TIMES, 'input frames/s', 'RTF', 'MB', 'runs'], ...batchRows],
    },
    ...kernelTables,
    ...methods.map(methodTable),
  ].filter(({ rows }) => rows.length > 1);
}

/** `first load 1650 ms to the first result: weights uploaded after 130, kernels compiled after 1600, first step 35` */
function loadLine({ ms, uploadMs, compileMs, stepMs }: LoadFigures, i: number): string {
  const parts = [
    ...(uploadMs === undefined ? [] : [`weights uploaded after ${uploadMs.toFixed(0)}`]),
    ...(compileMs === undefined ? [] : [`kernels compiled after ${compileMs.toFixed(0)}`]),
    `first step ${stepMs.toFixed(0)}`,
  ];
  return `${i === 0 ? 'first' : 'second'} load ${ms.toFixed(0)} ms to the first result: ${parts.join(', ')}`;
}

function report(adapter: string, output: BenchOutput, load: number, markdown: boolean): string {
  const { sizes, dtype, parameters, loads, readGBps, kernelsProblem, exact, problems } = output;
  const memory = [...output.chunks, ...output.streams, ...output.batches].at(-1)?.memory ?? {};
  const parts = Object.entries(memory).map(([part, bytes]) => `${part} ${megabytes(bytes)}`);
  return [
    `${adapter}: ${sizes.numEncoderLayers} layers of ${sizes.dModel}, hidden ${sizes.rnnHiddenSize}, feed-forward ${sizes.dimFeedforward}, ${dtype};` +
      ` ${parameters.toLocaleString('en')} encoder parameters`,
    ...loads.map(loadLine),
    ...(Object.keys(output.chosen).length > 0 ? [`kernels chosen: ${chosenNames(output.chosen)}`] : []),
    `${readGBps === undefined ? '' : `read bandwidth of the adapter ${readGBps.toFixed(2)} GB/s; `}load of the machine ${load.toFixed(1)} before`,
    ...(parts.length > 0 ? [`memory in MB, last row: ${parts.join(', ')}`] : []),
    ...tables(output).map(({ title, rows }) => `\n${title}\n\n${markdown ? markdownTable(rows) : table(rows)}`),
    ...(kernelsProblem ? [`\nno times of kernels: ${kernelsProblem}`] : []),
    ...(exact === undefined
      ? []
      : [
          `\nbytes of a stream ${exact ? 'depend neither' : 'DEPEND'} on its chunks ${exact ? 'nor' : 'or'} on its neighbours`,
        ]),
    ...Object.entries(problems).map(([section, problem]) => `\n${section} failed: ${problem}`),
  ].join('\n');
}

export const bench: Command = {
  usage,
  options: OPTIONS,
  example: 'bench my-model --streams 1,16 --markdown',
  summary: 'time one stream, many streams, batches and kernels, beside the adapter’s own read bandwidth',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const seconds = Number(values.seconds);
    if (positionals.length > 1 || !(seconds >= 0 && seconds <= 3600)) {
      throw usageError(`${positionals.length} model folders, ${values.seconds} seconds`, { usage });
    }
    const dtype = weightDtype({ usage }, values.dtype);
    const method = METHOD_NAMES.find((each) => each === values.method);
    if (values.method !== undefined && method === undefined) {
      throw usageError(`--method ${values.method} (it must be ${METHOD_NAMES.join(', ')})`, { usage });
    }
    // By default the bundled model, then a little of the full-size network.
    const made = randomNetwork({ usage }, values);
    const chosen = positionals.length > 0 || made !== undefined;
    const bundled = chosen ? positionals[0] : bundledModel({ usage });
    const random = made ?? (chosen ? undefined : FULL_SIZE);
    const runs = [
      ...(bundled ? [{ model: await readModelFiles(bundled), sections: chooseSections({ usage }, values, ALL) }] : []),
      ...(random === undefined ? [] : [{ model: random, sections: chooseSections({ usage }, values, LITTLE) }]),
    ];
    await withRuntime(
      { usage },
      values,
      async (runtime) => {
        for (const { model, sections } of runs) {
          const progress = new Progress('measuring');
          const [load] = loadavg();
          const output = await runtime
            .run('bench', { model, dtype, method, ...sections, seconds }, progress.listen)
            .finally(() => progress.end());
          const json = { device: runtime.device, runtime: runtime.name, load, ...output };
          print(values.json ? JSON.stringify(json) : `${report(runtime.device.name, output, load, values.markdown)}\n`);
          const [problem] = Object.entries(output.problems);
          if (problem) {
            throw new RillError('gpu', {
              got: `a failure in ${problem.join(': ')}`,
              expected: 'figures of every section',
              remedy: 'The rows above stand; leave that section out with --what, or ask for less of it.',
            });
          }
        }
      },
      'webgpu',
    );
  },
};
