import { openModel } from '../../src/model/model.ts';
import { readUtterances } from '../evaluation.ts';
import { readModelFiles, readText, writeOutput } from '../files.ts';
import { ownSearches, scoreKeywords, type Company, type KeywordScore } from '../keyword-evaluation.ts';
import { openSherpa } from '../peers/sherpa-keywords.ts';
import { curves } from '../plot.ts';
import { requireKeywords } from '../runtime/keywords.ts';
import { Progress, markdownTable, percent, print, table } from '../terminal.ts';
import {
  JSON_OPTION,
  KEYWORDS_OPTION,
  RUNTIME_OPTIONS,
  fraction,
  parse,
  usageError,
  withRuntime,
  type Command,
  type Options,
} from './arguments.ts';

const usage = 'eval-keywords <model dir> <list.csv> [options]';

const OPTIONS = {
  ...KEYWORDS_OPTION,
  thresholds: { type: 'string', value: 'X,Y,…', default: '0.1,0.25,0.5,0.75,0.9', help: 'thresholds to try, 0 to 1' },
  sherpa: {
    type: 'string',
    value: 'FOLDER',
    help: 'run sherpa-onnx beside it, on this folder of rill export',
  },
  svg: { type: 'string', value: 'FILE', help: 'plot missed phrases against false alarms, each phrase alone' },
  markdown: { type: 'boolean', help: 'the table for a document' },
  ...JSON_OPTION,
  ...RUNTIME_OPTIONS,
} as const satisfies Options;

const COMPANY: readonly Company[] = ['alone', 'together'];

function rows(scores: readonly KeywordScore[]): string[][] {
  const heading = [
    'search',
    'phrases',
    'threshold',
    'said',
    'missed',
    'recall',
    'at other phrases',
    'at other speech',
    'hours',
    'an hour',
  ];
  const body = scores.map(({ search, company, threshold, said, missed, confused, falseAlarms, ...score }) => [
    search,
    company,
    threshold === null ? 'default' : String(threshold),
    String(said),
    String(missed),
    percent(said > 0 ? (said - missed) / said : null, 1),
    String(confused),
    String(falseAlarms),
    score.hours.toFixed(2),
    score.falseAlarmsPerHour.toFixed(2),
  ]);
  return [heading, ...body];
}

/** Missed phrases against false alarms, a curve for each search: each phrase alone. */
function tradeOff(scores: readonly KeywordScore[]): string {
  const swept = scores.filter(({ company, threshold }) => company === 'alone' && threshold !== null);
  const names = [...new Set(swept.map(({ search }) => search))];
  return curves(
    { x: 'false alarms an hour', y: 'missed, %' },
    names.map((name) => ({
      name,
      points: swept
        .filter(({ search }) => search === name)
        .map(
          ({ falseAlarmsPerHour, missed, said }) => [falseAlarmsPerHour, said > 0 ? (100 * missed) / said : 0] as const,
        ),
    })),
  );
}

export const evaluateKeywords: Command = {
  usage,
  summary: 'missed keywords and false alarms an hour over a list of recordings (lines of audio,text), by threshold',
  options: OPTIONS,
  example: 'eval-keywords weights/wake-words weights/wake-words/samples/list.csv',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [folder, listPath, ...others] = positionals;
    if (!folder || !listPath || others.length > 0) {
      throw usageError(`${positionals.length} paths`, { usage });
    }
    const thresholds = values.thresholds.split(',').map((text) => fraction({ usage }, 'thresholds', text) ?? 0);
    const files = await readModelFiles(folder);
    const model = openModel(files);
    const text = values.keywords === undefined ? undefined : await readText(values.keywords);
    const keywords = requireKeywords(model, text);
    const utterances = await readUtterances(listPath, model.config.features);
    const recordings = await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('encoding');
      const input = { model: files, utterances: utterances.map(({ features }) => features) };
      const outputs = await runtime.run('outputs', input, progress.listen).finally(() => {
        progress.end();
      });
      return utterances.map((utterance, n) => ({ ...utterance, outputs: outputs[n] }));
    });
    const searches = await ownSearches(model);
    const sherpa =
      values.sherpa !== undefined && model.tokens
        ? await openSherpa(
            values.sherpa,
            model.tokens,
            utterances.map(({ audio }) => audio),
          )
        : undefined;
    if (sherpa) {
      searches.set('sherpa-onnx', sherpa.search);
    }
    const runs = [...searches].flatMap((search) =>
      COMPANY.flatMap((company) => [null, ...thresholds].map((threshold) => ({ search, company, threshold }))),
    );
    const progress = new Progress('searching');
    const scores: KeywordScore[] = [];
    try {
      for (const { search, company, threshold } of runs) {
        progress.update(scores.length, runs.length);
        scores.push(await scoreKeywords(search, company, keywords, threshold, recordings));
      }
    } finally {
      progress.end();
      await sherpa?.close();
    }
    if (values.svg !== undefined) {
      await writeOutput(values.svg, new TextEncoder().encode(tradeOff(scores)));
    }
    print(values.json ? JSON.stringify(scores) : (values.markdown ? markdownTable : table)(rows(scores)));
  },
};
