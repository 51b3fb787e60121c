import { openModel } from '../../src/model/model.ts';
import { keywordPhrases, readUtterances, score, type Heard } from '../evaluation.ts';
import { readModelFiles } from '../files.ts';
import { Progress, note, percent, print, table } from '../terminal.ts';
import {
  JSON_OPTION,
  RUNTIME_OPTIONS,
  parse,
  usageError,
  withRuntime,
  type Command,
  type Options,
} from './arguments.ts';
import { SEARCH_OPTIONS, readSearchOptions } from './search-options.ts';

const usage = 'eval <model dir> <list.csv> [options]';

const OPTIONS = {
  ...SEARCH_OPTIONS,
  'memory-mb': { type: 'string', value: 'N', default: '512', help: 'GPU memory that batches may take, weights aside' },
  ...JSON_OPTION,
  ...RUNTIME_OPTIONS,
} as const satisfies Options;

function report(result: ReturnType<typeof score>): string {
  const { words, substitutions, insertions, deletions } = result;
  const rows = [
    ['recordings', String(result.recordings)],
    ['hours', result.hours.toFixed(3)],
    ['words', String(words)],
    ['word error rate', percent(result.wordErrorRate, 2)],
    ['substitutions / insertions / deletions', `${substitutions} / ${insertions} / ${deletions}`],
    ['texts exactly right', String(result.exact)],
  ];
  const keywords = result.keywords.map(({ keyword, said, detected, falseAlarms }) => [
    keyword,
    String(said),
    String(detected),
    String(falseAlarms),
  ]);
  if (keywords.length === 0) {
    return table(rows);
  }
  rows.push(
    ['keyword accuracy', percent(result.keywordAccuracy, 2)],
    ['false alarms per hour', result.falseAlarmsPerHour.toFixed(2)],
  );
  return `${table(rows)}\n\n${table([['keyword', 'said', 'detected', 'false alarms'], ...keywords])}`;
}

export const evaluate: Command = {
  usage,
  summary: 'word error rate, keyword accuracy and false alarms over a list of recordings (lines of audio,text)',
  options: OPTIONS,
  example: 'eval my-model list.csv --method modified_beam_search',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [folder, listPath, ...others] = positionals;
    const memoryBytes = 1e6 * Number(values['memory-mb']);
    if (!folder || !listPath || others.length > 0 || !(memoryBytes > 0)) {
      throw usageError(`${positionals.length} paths, ${values['memory-mb']} MB for batches`, { usage });
    }
    const { method, options } = await readSearchOptions({ usage }, values);
    const files = await readModelFiles(folder);
    const model = openModel(files);
    const utterances = await readUtterances(listPath, model.config.features);
    const results: Heard[] = [];
    await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('decoding');
      const input = {
        model: files,
        utterances: utterances.map(({ features }) => features),
        method,
        options,
        memoryBytes,
      };
      const decoded = await runtime.run('decodeAll', input, progress.listen).finally(() => {
        progress.end();
      });
      note(`in batches of ${decoded.batchSize}`);
      decoded.results.forEach(({ text }, n) => results.push({ ...utterances[n], heard: text }));
    });
    const result = score(results, keywordPhrases(model));
    print(values.json ? JSON.stringify(result) : report(result));
  },
};
