import { dirname, resolve } from 'node:path';
import { parseKeywords } from '../../src/decoder/keywords.ts';
import { RillError } from '../../src/errors.ts';
import { openModel } from '../../src/model/model.ts';
import { readFeatures } from '../audio-features.ts';
import { readModelFiles, readText } from '../files.ts';
import { Progress, print, table } from '../terminal.ts';
import { countPhrase, wordErrors } from '../word-errors.ts';
import { RUNTIME_OPTIONS, parse, usageError, withRuntime, type Command } from './arguments.ts';
import { SEARCH_OPTIONS, SEARCH_USAGE, readSearchOptions } from './search-options.ts';

const usage = `eval <model dir> <list.csv> ${SEARCH_USAGE} [--batch-seconds S] [--json] [--runtime node|chrome|firefox] [--adapter gpu|software]`;

/** Silence behind each recording, so that the last letters come out. */
const TAIL_PADDING_SECONDS = 0.5;
const SECONDS_PER_FRAME = 0.01;

interface Item {
  audio: string;
  text: string;
}

interface Utterance extends Item {
  seconds: number;
  features: Float32Array;
  frames: number;
}

/** Lines of `audio,text`; paths are relative to the list; a first line of just those words is a heading. */
async function readList(path: string): Promise<Item[]> {
  const lines = (await readText(path)).split(/\r?\n/).map((line, index) => ({ line: line.trim(), number: index + 1 }));
  const items = lines
    .filter(({ line, number }) => line !== '' && !(number === 1 && line.toLowerCase() === 'audio,text'))
    .map(({ line, number }) => {
      const comma = line.indexOf(',');
      if (comma < 1) {
        throw new RillError('bad-argument', {
          got: `line ${number} of ${path}: ${JSON.stringify(line.slice(0, 60))}`,
          expected: 'audio,text',
          remedy: 'Put a path, a comma and what is said on each line.',
        });
      }
      const text = line
        .slice(comma + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1');
      return { audio: resolve(dirname(path), line.slice(0, comma).trim()), text };
    });
  if (items.length === 0) {
    throw new RillError('bad-argument', {
      got: `${path} without recordings`,
      expected: 'lines of audio,text',
      remedy: 'List at least one.',
    });
  }
  return items;
}

/** Utterances of like length together, each batch padded to at most `limit` feature frames. */
function makeBatches(utterances: readonly Utterance[], limit: number): Utterance[][] {
  const batches: Utterance[][] = [];
  for (const utterance of [...utterances].sort((a, b) => b.frames - a.frames)) {
    const batch = batches.at(-1);
    if (batch && (batch.length + 1) * batch[0].frames <= limit) {
      batch.push(utterance);
    } else {
      batches.push([utterance]);
    }
  }
  return batches;
}

interface Heard extends Utterance {
  heard: string;
}

/** What `eval` reports, of all recordings together. */
function score(results: readonly Heard[], keywords: readonly string[]) {
  const errors = results.map(({ text, heard }) => wordErrors(text, heard));
  const sum = (key: keyof (typeof errors)[number]) => errors.reduce((total, each) => total + each[key], 0);
  const [words, substitutions, insertions, deletions] = (
    ['words', 'substitutions', 'insertions', 'deletions'] as const
  ).map(sum);
  const hours = results.reduce((total, { seconds }) => total + seconds, 0) / 3600;
  const perKeyword = keywords.map((keyword) => {
    const counts = results.map(({ text, heard }) => ({
      said: countPhrase(text, keyword),
      heard: countPhrase(heard, keyword),
    }));
    const said = counts.reduce((total, each) => total + each.said, 0);
    const detected = counts.reduce((total, each) => total + Math.min(each.said, each.heard), 0);
    const falseAlarms = counts.reduce((total, each) => total + Math.max(0, each.heard - each.said), 0);
    return { keyword, said, detected, falseAlarms };
  });
  const said = perKeyword.reduce((total, each) => total + each.said, 0);
  const detected = perKeyword.reduce((total, each) => total + each.detected, 0);
  const falseAlarms = perKeyword.reduce((total, each) => total + each.falseAlarms, 0);
  return {
    recordings: results.length,
    hours,
    words,
    substitutions,
    insertions,
    deletions,
    wordErrorRate: words > 0 ? (substitutions + insertions + deletions) / words : 0,
    exact: results.filter(({ text, heard }) => text.toLowerCase() === heard.toLowerCase()).length,
    keywords: perKeyword,
    keywordAccuracy: said > 0 ? detected / said : 0,
    falseAlarms,
    falseAlarmsPerHour: hours > 0 ? falseAlarms / hours : 0,
  };
}

function report(result: ReturnType<typeof score>): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  const { words, substitutions, insertions, deletions } = result;
  const rows = [
    ['recordings', String(result.recordings)],
    ['hours', result.hours.toFixed(3)],
    ['words', String(words)],
    ['word error rate', percent(result.wordErrorRate)],
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
    ['keyword accuracy', percent(result.keywordAccuracy)],
    ['false alarms per hour', result.falseAlarmsPerHour.toFixed(2)],
  );
  return `${table(rows)}\n\n${table([['keyword', 'said', 'detected', 'false alarms'], ...keywords])}`;
}

export const evaluate: Command = {
  usage,
  summary: 'word error rate, keyword accuracy and false alarms over a list of recordings (lines of audio,text)',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      ...SEARCH_OPTIONS,
      'batch-seconds': { type: 'string', default: '240' },
      json: { type: 'boolean' },
    });
    const [folder, listPath, ...others] = positionals;
    const batchSeconds = Number(values['batch-seconds']);
    if (!folder || !listPath || others.length > 0 || !(batchSeconds > 0)) {
      throw usageError(`${positionals.length} paths, batches of ${values['batch-seconds']} s`, { usage });
    }
    const { method, options } = await readSearchOptions({ usage }, values);
    const files = await readModelFiles(folder);
    const model = openModel(files);
    const items = await readList(listPath);
    const utterances: Utterance[] = [];
    for (const item of items) {
      utterances.push({ ...item, ...(await readFeatures(item.audio, model.config.features, TAIL_PADDING_SECONDS)) });
    }
    const { numMelBins } = model.config.features;
    const results: Heard[] = [];
    await withRuntime({ usage }, values, async (runtime) => {
      const progress = new Progress('decoding');
      try {
        for (const batch of makeBatches(utterances, batchSeconds / SECONDS_PER_FRAME)) {
          const features = new Float32Array(batch.length * batch[0].features.length);
          batch.forEach((utterance, n) => {
            features.set(utterance.features, n * batch[0].features.length);
          });
          const lengths = batch.map(({ frames }) => frames);
          const decoded = await runtime.run('decode', {
            model: files,
            features,
            featureWidth: numMelBins,
            lengths,
            method,
            options,
          });
          decoded.forEach(({ text }, n) => results.push({ ...batch[n], heard: text }));
          progress.update(results.length, utterances.length);
        }
      } finally {
        progress.end();
      }
    });
    const phrases =
      model.keywords && model.tokens ? parseKeywords(model.keywords, model.tokens).map(({ phrase }) => phrase) : [];
    const result = score(results, phrases);
    print(values.json ? JSON.stringify(result) : report(result));
  },
};
