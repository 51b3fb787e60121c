import { RillError } from '../../src/errors.ts';
import { storedDtype } from '../../src/model/dtypes.ts';
import { openModel } from '../../src/model/model.ts';
import { keywordPhrases, readUtterances, score } from '../evaluation.ts';
import { readModelFiles } from '../files.ts';
import type { DtypeOutput } from '../runtime/dtypes-job.ts';
import { Progress, markdownTable, percent, print, table } from '../terminal.ts';
import {
  JSON_OPTION,
  MEASURING_OPTIONS,
  bundledModel,
  parse,
  usageError,
  withRuntime,
  type Command,
  type Options,
} from './arguments.ts';

const usage = 'dtypes [model dir] [options]';

const OPTIONS = {
  list: {
    type: 'string',
    value: 'FILE',
    help: 'lines of audio,text',
    otherwise: 'samples/list.csv of the bundled model',
  },
  ...JSON_OPTION,
  markdown: { type: 'boolean', help: 'the table for a document' },
  ...MEASURING_OPTIONS,
} as const satisfies Options;

/** What one dtype does to a model. */
type DtypeReport = Omit<DtypeOutput, 'texts'> & { score: ReturnType<typeof score> };

function rows(reports: readonly DtypeReport[]): string[][] {
  const outputs = reports[0].differences.map(({ output }) => output);
  const heads = outputs.flatMap((output) => [`${output} largest`, 'RMS']);
  const body = reports.map(({ dtype, weightBytes, differences, score }) => {
    const right = score.words - score.substitutions - score.deletions;
    return [
      dtype,
      (weightBytes / 1e6).toFixed(2),
      ...differences.flatMap(({ largest, rms }) => [largest, rms].map((value) => value.toExponential(1))),
      `${right} / ${score.words}`,
      String(score.insertions),
      percent(score.keywordAccuracy, 1),
      String(score.falseAlarms),
    ];
  });
  const columns = ['dtype', 'weights MB', ...heads, 'words right', 'inserted', 'keywords found', 'false alarms'];
  return [columns, ...body];
}

export const dtypes: Command = {
  usage,
  summary: 'what f16 and int8 cost: memory, output differences from f32, words, keywords and false alarms',
  options: OPTIONS,
  example: 'dtypes my-model --list list.csv',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    if (positionals.length > 1 || (positionals.length === 1 && values.list === undefined)) {
      throw usageError(`${positionals.length} model folders and ${values.list ? 'a' : 'no'} list`, { usage });
    }
    const folder = positionals[0] ?? bundledModel({ usage });
    const list = values.list ?? `${folder}/samples/list.csv`;
    const files = await readModelFiles(folder);
    const model = openModel(files);
    const stored = storedDtype(model.weights.tensors);
    if (stored !== 'f32') {
      throw new RillError('bad-model', {
        got: `${folder} in ${stored}`,
        expected: 'matrices in f32, which the others are made from',
        remedy: 'Convert the checkpoint without --dtype.',
      });
    }
    const utterances = await readUtterances(list, model.config.features);
    const phrases = keywordPhrases(model);
    const reports = await withRuntime(
      { usage },
      values,
      async (runtime): Promise<DtypeReport[]> => {
        const progress = new Progress('comparing');
        const input = { model: files, utterances: utterances.map(({ features }) => features) };
        const outputs = await runtime.run('dtypes', input, progress.listen).finally(() => progress.end());
        return outputs.map(({ texts, ...output }) => {
          const heard = utterances.map((utterance, n) => ({ ...utterance, heard: texts[n] }));
          return { ...output, score: score(heard, phrases) };
        });
      },
      'webgpu',
    );
    print(values.json ? JSON.stringify(reports) : (values.markdown ? markdownTable : table)(rows(reports)));
  },
};
