import { fileURLToPath } from 'node:url';
import { RillError } from '../../src/errors.ts';
import { storedDtype, WEIGHT_DTYPES, type WeightDtype } from '../../src/model/dtypes.ts';
import { openModel } from '../../src/model/model.ts';
import { joinFeatures, keywordPhrases, makeBatches, readUtterances, score, type Heard } from '../evaluation.ts';
import { readModelFiles } from '../files.ts';
import type { Difference } from '../runtime/dtypes-job.ts';
import { Progress, markdownTable, print, table } from '../terminal.ts';
import { RUNTIME_OPTIONS, parse, usageError, withRuntime, type Command } from './arguments.ts';

const usage =
  'dtypes [model dir --list list.csv] [--json | --markdown] [--runtime node|chrome|firefox] [--adapter gpu|software]';

const BUNDLED = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));
const BATCH_SECONDS = 240;

/** What one dtype does to a model. */
interface DtypeReport {
  dtype: WeightDtype;
  weightBytes: number;
  differences: { output: string; largest: number; rms: number }[];
  score: ReturnType<typeof score>;
}

/** What a dtype gave so far, batch by batch. */
interface Gathered {
  weightBytes: number;
  differences: Map<string, Difference>;
  heard: Heard[];
}

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
      `${(100 * score.keywordAccuracy).toFixed(1)} %`,
      String(score.falseAlarms),
    ];
  });
  const columns = ['dtype', 'weights MB', ...heads, 'words right', 'inserted', 'keywords found', 'false alarms'];
  return [columns, ...body];
}

export const dtypes: Command = {
  usage,
  summary: 'what f16 and int8 cost: memory, output differences from f32, words, keywords and false alarms',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, {
      ...RUNTIME_OPTIONS,
      list: { type: 'string' },
      json: { type: 'boolean' },
      markdown: { type: 'boolean' },
    });
    const [folder = BUNDLED] = positionals;
    const list = values.list ?? `${BUNDLED}/samples/list.csv`;
    if (positionals.length > 1 || (positionals.length === 1 && values.list === undefined)) {
      throw usageError(`${positionals.length} model folders and ${values.list ? 'a' : 'no'} list`, { usage });
    }
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
    const gathered = new Map<WeightDtype, Gathered>(
      WEIGHT_DTYPES.map((dtype) => [dtype, { weightBytes: 0, differences: new Map(), heard: [] }]),
    );
    await withRuntime({ usage }, values, async (runtime) => {
      for (const batch of makeBatches(utterances, BATCH_SECONDS)) {
        const progress = new Progress('comparing');
        const outputs = await runtime
          .run('dtypes', { model: files, ...joinFeatures(batch) }, progress.listen)
          .finally(() => progress.end());
        for (const { dtype, weightBytes, texts, differences } of outputs) {
          const all = gathered.get(dtype);
          if (all) {
            all.weightBytes = weightBytes;
            all.heard.push(...texts.map((heard, n) => ({ ...batch[n], heard })));
            for (const [name, own] of Object.entries(differences)) {
              const { largest, squares, count } = all.differences.get(name) ?? { largest: 0, squares: 0, count: 0 };
              all.differences.set(name, {
                largest: Math.max(largest, own.largest),
                squares: squares + own.squares,
                count: count + own.count,
              });
            }
          }
        }
      }
    });
    const phrases = keywordPhrases(model);
    const reports = [...gathered].map(([dtype, { weightBytes, differences, heard }]): DtypeReport => ({
      dtype,
      weightBytes,
      differences: [...differences].map(([output, { largest, squares, count }]) => ({
        output,
        largest,
        rms: Math.sqrt(squares / Math.max(1, count)),
      })),
      score: score(heard, phrases),
    }));
    print(values.json ? JSON.stringify(reports) : (values.markdown ? markdownTable : table)(rows(reports)));
  },
};
