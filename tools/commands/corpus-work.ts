import { isAbsolute, resolve } from 'node:path';
import { RillError } from '../../src/errors.ts';
import type { CorpusDescription } from '../../src/server/corpus/description.ts';
import { CorpusWorker } from '../../src/server/corpus/worker.ts';
import { CorpusProgress } from '../corpus/progress.ts';
import { hashModel, lineOf, openHearing, parseSettings } from '../corpus/transcribing.ts';
import { readModelFiles } from '../files.ts';
import { note } from '../terminal.ts';
import { amount, count, parse, usageError, type Command, type Options } from './arguments.ts';
import { ENGINE_OPTIONS, QUEUE_OPTIONS, engineChoice, untilStopped, withQueue } from './corpus-options.ts';

const usage = 'corpus work --queue URL [options]';

export const WORK_OPTIONS = {
  ...QUEUE_OPTIONS,
  root: {
    type: 'string',
    value: 'DIR',
    help: 'where the submitter’s --root is on this machine',
    otherwise: 'the same path',
  },
  model: { type: 'string', value: 'DIR', help: 'where the model folder is', otherwise: 'where the submitter had it' },
  jobs: { type: 'string', value: 'N', default: '2', help: 'jobs at a time, which share the streams' },
  'lock-seconds': {
    type: 'string',
    value: 'S',
    default: '30',
    help: 'for which a job is this worker’s own, renewed twice within; after a crash another one has it by then',
  },
  ...ENGINE_OPTIONS,
} as const satisfies Options;

/** The model that the corpus was submitted with. */
async function readModel({ model, modelHash }: CorpusDescription, root: string, named: string | undefined) {
  const folder = named ?? (isAbsolute(model) ? model : resolve(root, model));
  const files = await readModelFiles(folder);
  if (hashModel(files) !== modelHash) {
    throw new RillError('bad-argument', {
      got: `another model in ${folder}`,
      expected: 'the one that the corpus was submitted with, to the byte',
      remedy: 'Copy that model folder to this machine, and name it with --model.',
    });
  }
  return files;
}

export const workOnCorpus: Command = {
  usage,
  summary: 'transcribe files of a corpus, beside other workers, until all are done',
  options: WORK_OPTIONS,
  example: 'corpus work --queue redis://queue.example:6379 --device cpu --threads 4',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, WORK_OPTIONS);
    if (positionals.length > 0) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const engine = engineChoice({ usage }, values);
    const jobs = count({ usage }, 'jobs', values.jobs);
    const lockSeconds = amount({ usage }, 'lock-seconds', values['lock-seconds']);
    await withQueue({ usage }, values, async (queue) => {
      const description = await queue.describe();
      const root = values.root ?? description.root;
      const model = await readModel(description, root, values.model);
      const hearing = openHearing(model, parseSettings(description.settings), engine, root);
      const progress = new CorpusProgress([], () => false);
      const { onFile } = progress;
      const worker = new CorpusWorker(queue, description, { hearing, lineOf, jobs, lockSeconds, onFile, onNote: note });
      try {
        await untilStopped((signal) => worker.run(signal));
      } finally {
        progress.end();
        await hearing.dispose();
      }
      note(`this worker: ${progress.summary}`);
    });
    return undefined;
  },
};
