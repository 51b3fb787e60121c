import { resolve } from 'node:path';
import type { CorpusFile } from '../../src/server/corpus/corpus-file.ts';
import { transcribeHere } from '../../src/server/corpus/here.ts';
import { ResultsFile } from '../../src/server/corpus/results-file.ts';
import { belowRoot, listCorpus } from '../corpus/list.ts';
import { CorpusProgress } from '../corpus/progress.ts';
import {
  fingerprintOf,
  formatSettings,
  hashModel,
  lineOf,
  openHearing,
  type CorpusSettings,
} from '../corpus/transcribing.ts';
import { BAD_INPUT } from '../failures.ts';
import { readModelFiles } from '../files.ts';
import { Progress, note } from '../terminal.ts';
import { amount, count, parse, usageError, type Command, type Options } from './arguments.ts';
import { ENGINE_OPTIONS, QUEUE_OPTIONS, engineChoice, untilStopped, withQueue } from './corpus-options.ts';
import { SEARCH_OPTIONS, readSearchOptions } from './search-options.ts';

const usage = 'corpus submit <model dir> <list or folder> (--queue URL | --out FILE) [options]';
/** Files of a job at most, however short they are. */
const JOB_FILES = 500;

export const SUBMIT_OPTIONS = {
  ...QUEUE_OPTIONS,
  out: {
    type: 'string',
    value: 'FILE',
    help: 'without a queue: transcribe in this process, into this file (JSON lines)',
  },
  root: {
    type: 'string',
    value: 'DIR',
    help: 'the folder that paths begin at: workers may have it elsewhere',
    otherwise: 'absolute paths, the same on all machines',
  },
  chunk: { type: 'string', value: 'N', default: '16', help: 'encoder frames of 40 ms in a step' },
  'job-minutes': { type: 'string', value: 'N', default: '5', help: 'audio of a job' },
  attempts: { type: 'string', value: 'N', default: '3', help: 'attempts at a file before it is set aside' },
  'retry-seconds': {
    type: 'string',
    value: 'S',
    default: '10',
    help: 'before the second attempt; twice as long before each further one',
  },
  'held-mb': {
    type: 'string',
    value: 'N',
    default: '1000',
    help: 'results that may wait in Redis; workers wait beyond, until they are collected',
  },
  ...SEARCH_OPTIONS,
  ...ENGINE_OPTIONS,
} as const satisfies Options;

type Values = ReturnType<typeof parse<typeof SUBMIT_OPTIONS>>['values'];

/** A corpus, looked at and ready. */
interface Prepared {
  folder: string;
  model: Awaited<ReturnType<typeof readModelFiles>>;
  modelHash: string;
  files: CorpusFile[];
  settings: CorpusSettings;
  fingerprint: string;
}

async function prepare([folder, list]: readonly string[], values: Values): Promise<Prepared> {
  const settings = {
    ...(await readSearchOptions({ usage }, values)),
    chunkFrames: count({ usage }, 'chunk', values.chunk) ?? 1,
  };
  const model = await readModelFiles(folder);
  const progress = new Progress('looking at files');
  const files = await listCorpus(list, values.root, (done, total) => {
    progress.update(done, total);
  });
  progress.end();
  const modelHash = hashModel(model);
  const fingerprint = fingerprintOf(files, modelHash, formatSettings(settings));
  return { folder, model, modelHash, files, settings, fingerprint };
}

async function submitToQueue(prepared: Prepared, values: Values): Promise<void> {
  const { folder, modelHash, files, settings, fingerprint } = prepared;
  const { root } = values;
  const description = {
    files: files.length,
    seconds: files.reduce((sum, { seconds }) => sum + seconds, 0),
    fingerprint,
    model: (root === undefined ? undefined : belowRoot(folder, root)) ?? resolve(folder),
    modelHash,
    root: root === undefined ? '' : resolve(root),
    settings: formatSettings(settings),
    attempts: count({ usage }, 'attempts', values.attempts) ?? 1,
    retrySeconds: amount({ usage }, 'retry-seconds', values['retry-seconds']) ?? 0,
    heldBytes: 1e6 * (amount({ usage }, 'held-mb', values['held-mb']) ?? 0),
  };
  const size = { seconds: 60 * (amount({ usage }, 'job-minutes', values['job-minutes']) ?? 0), files: JOB_FILES };
  await withQueue({ usage }, values, async (queue) => {
    const progress = new Progress('submitting');
    await queue.submit(description, files, size, (done) => {
      progress.update(done, files.length);
    });
    progress.end();
    note(`submitted ${files.length} files as ${queue.name}`);
  });
}

async function transcribeInto(out: string, prepared: Prepared, values: Values): Promise<number | undefined> {
  const { files, model, settings, fingerprint } = prepared;
  const results = await ResultsFile.open(out, fingerprint);
  const hearing = openHearing(model, settings, engineChoice({ usage }, values), values.root ?? '');
  const progress = new CorpusProgress(files, (file) => results.has(file.index));
  const { onFile } = progress;
  try {
    await untilStopped((signal) => transcribeHere({ files, results, hearing, lineOf, onFile, signal }));
  } catch (error) {
    progress.end();
    note(`stopped; the same command goes on with ${out}.partial`);
    throw error;
  } finally {
    progress.end();
    await hearing.dispose();
  }
  note(`wrote ${out}: ${progress.summary}`);
  return progress.setAside > 0 ? BAD_INPUT : undefined;
}

export const submitCorpus: Command = {
  usage,
  summary: 'transcribe many recordings: hand them to workers by a queue, or do them here',
  options: SUBMIT_OPTIONS,
  example: 'corpus submit weights/wake-words recordings/ --out results.jsonl --device cpu',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, SUBMIT_OPTIONS);
    if (positionals.length !== 2 || (values.queue === undefined) === (values.out === undefined)) {
      throw usageError(`${positionals.length} paths, ${values.queue ? '--queue' : 'no --queue'}`, { usage });
    }
    const prepared = await prepare(positionals, values);
    if (values.out !== undefined) {
      return transcribeInto(values.out, prepared, values);
    }
    await submitToQueue(prepared, values);
    return undefined;
  },
};
