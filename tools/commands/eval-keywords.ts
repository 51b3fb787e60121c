import { RillError } from '../../src/errors.ts';
import { parseKeywords } from '../../src/decoder/phrase-files.ts';
import { openModel } from '../../src/model/model.ts';
import { readUtterances } from '../evaluation.ts';
import { readModelFiles, readText, writeOutput } from '../files.ts';
import { ownSearches, scoreKeywords, type Company, type KeywordScore } from '../keyword-evaluation.ts';
import { curves } from '../plot.ts';
import { Progress, markdownTable, percent, print, table } from '../terminal.ts';
import { RUNTIME_OPTIONS, parse, usageError, withRuntime, type Command } from './arguments.ts';

const usage =
  'eval-keywords <model dir> <list.csv> [--keywords keywords.txt] [--thresholds 0.1,0.5,…] [--svg FILE] [--sherpa] [--json | --markdown] [--runtime node|chrome|firefox] [--adapter gpu|software]';

const THRESHOLDS = '0.1,0.25,0.5,0.75,0.9';
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
  details: [
    'The text of a recording says which phrases are in it; leave it empty where none is.',
    'alone: each phrase in a run of its own; together: all of them at once.',
    '--sherpa runs sherpa-onnx beside it (npm --prefix tools/peers install).',
  ],
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      keywords: { type: 'string' },
      thresholds: { type: 'string', default: THRESHOLDS },
      svg: { type: 'string' },
      sherpa: { type: 'boolean' },
      json: { type: 'boolean' },
      markdown: { type: 'boolean' },
    });
    const [folder, listPath, ...others] = positionals;
    const thresholds = values.thresholds.split(',').map((text) => (text.trim() === '' ? NaN : Number(text)));
    if (!folder || !listPath || others.length > 0 || thresholds.some((value) => !(value >= 0 && value <= 1))) {
      throw usageError(`${positionals.length} paths, thresholds ${values.thresholds}`, { usage });
    }
    const files = await readModelFiles(folder);
    const model = openModel(files);
    const text = values.keywords === undefined ? (model.keywords ?? '') : await readText(values.keywords);
    const keywords = model.tokens ? parseKeywords(text, model.tokens) : [];
    if (keywords.length === 0) {
      throw new RillError('bad-argument', {
        got: 'no keywords',
        expected: 'a keywords.txt in the model folder, or --keywords with a line at least',
        remedy: 'Write one keyword a line.',
      });
    }
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
    const runs = [...searches].flatMap((search) =>
      COMPANY.flatMap((company) => [null, ...thresholds].map((threshold) => ({ search, company, threshold }))),
    );
    const progress = new Progress('searching');
    const scores = runs.map(({ search, company, threshold }, n) => {
      progress.update(n, runs.length);
      return scoreKeywords(search, company, keywords, threshold, recordings);
    });
    progress.end();
    if (values.svg !== undefined) {
      await writeOutput(values.svg, new TextEncoder().encode(tradeOff(scores)));
    }
    print(values.json ? JSON.stringify(scores) : (values.markdown ? markdownTable : table)(rows(scores)));
  },
};
