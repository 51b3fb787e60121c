import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RillError } from '../../src/errors.ts';
import { openNegativeSpeech } from '../../src/node/speech.ts';
import { LEAST_RECORDINGS } from '../../src/training/teach/materials.ts';
import type { Rehearsal } from '../../src/training/teach/options.ts';
import { DEFAULT_STEPS } from '../../src/training/teach/recipe.ts';
import { requireTake } from '../../src/training/teach/take.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { keywordPhrases } from '../evaluation.ts';
import { readModelFiles, writeFolder } from '../files.ts';
import { readManifest } from '../manifest.ts';
import { readRecording } from '../recordings.ts';
import type { JobEvent } from '../runtime/jobs.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { openModel } from '../../src/model/model.ts';
import { Progress, note, print, printable } from '../terminal.ts';
import { wavFile } from '../wav.ts';
import { RUNTIME_OPTIONS, count, parse, usageError, withRuntime, type Command, type Options } from './arguments.ts';

const usage = 'teach <phrase> <take…> --model <model dir> --out <dir> [options]';

const OPTIONS = {
  model: { type: 'string', value: 'DIR', help: 'the model folder that is to learn the phrase' },
  out: { type: 'string', short: 'o', value: 'DIR', help: 'the folder to write' },
  negatives: {
    type: 'string',
    value: 'WAV,…',
    help: 'recordings of what must not be taken for the phrase, with commas between',
    otherwise: 'none beside the speech that comes with Rill',
  },
  seed: { type: 'string', value: 'N', help: 'what is drawn by: the same one gives the same model', otherwise: '0' },
  steps: { type: 'string', value: 'N', help: 'steps of training', otherwise: String(DEFAULT_STEPS) },
  device: { ...RUNTIME_OPTIONS.device, help: 'what learns', otherwise: 'auto, a GPU where there is one, else the CPU' },
  runtime: RUNTIME_OPTIONS.runtime,
  adapter: RUNTIME_OPTIONS.adapter,
} as const satisfies Options;

/** A recording of the list in a model folder that is longer has more than one phrase. */
const LONGEST_REHEARSAL_SECONDS = 5;

/** A recording that is kept with the folder. */
interface Sample extends Rehearsal {
  name: string;
}

/** The takes that are fit; others are told of by their names. */
async function readTakes(paths: readonly string[]): Promise<{ path: string; waveform: Waveform }[]> {
  const takes = await Promise.all(paths.map(readTake));
  return takes.filter((take) => take !== undefined);
}

async function readTake(path: string): Promise<{ path: string; waveform: Waveform } | undefined> {
  try {
    const waveform = await readRecording(path);
    requireTake(waveform, path);
    return { path, waveform };
  } catch (error) {
    if (error instanceof RillError && error.code === 'bad-audio') {
      note(`left out: ${printable(`${error.got}. ${error.remedy}`)}`);
      return undefined;
    }
    throw error;
  }
}

/** What the model folder has recordings of, by `samples/list.csv`. */
async function readSamples(folder: string): Promise<Sample[]> {
  const list = join(folder, 'samples', 'list.csv');
  if (!existsSync(list)) {
    note(`${folder} has no samples/list.csv: what the model knows already is not rehearsed, and may fade`);
    return [];
  }
  const samples = await Promise.all(
    (await readManifest(list)).map(async ({ audio, text }) => {
      return { name: basename(audio), text, waveform: await readRecording(audio) };
    }),
  );
  return samples.filter(
    ({ waveform: { samples: all, sampleRate } }) => all.length <= LONGEST_REHEARSAL_SECONDS * sampleRate,
  );
}

/** The recordings of a folder, for the next phrase that it is taught. */
function sampleFiles(samples: readonly Sample[]): Record<string, string | Uint8Array> {
  const lines = samples.map(({ name, text }) => `${name},${text}\n`);
  const files = samples.map(({ name, waveform }) => [name, wavFile(waveform)] as const);
  return { 'list.csv': `audio,text\n${lines.join('')}`, ...Object.fromEntries(files) };
}

/** Shows how far teaching is. */
class Report {
  readonly #bars = { prepare: new Progress('preparing'), train: new Progress('training') };

  readonly listen = (event: JobEvent): void => {
    if (event.type !== 'teach') {
      return;
    }
    const { progress } = event;
    if (progress.stage === 'resume') {
      this.end();
      note(`the device was lost: it goes on from step ${progress.done}`);
      return;
    }
    const loss = progress.stage === 'train' ? `step ${progress.done}, loss ${progress.loss.toFixed(3)}` : '';
    this.#bars[progress.stage].update(progress.done, progress.total, loss);
  };

  end(): void {
    this.#bars.prepare.end();
    this.#bars.train.end();
  }
}

export const teach: Command = {
  usage,
  summary: 'teach a model a phrase from about ten recordings of it',
  options: OPTIONS,
  example: 'teach "hey rill" take*.wav --model weights/wake-words --out my-words',
  async run(args) {
    const { values, positionals } = parse({ usage }, args, OPTIONS);
    const [phrase, ...paths] = positionals;
    const { model: folder, out } = values;
    if (phrase === undefined || paths.length === 0 || folder === undefined || out === undefined) {
      throw usageError(`${paths.length} takes, ${folder ? 'a' : 'no'} model and ${out ? 'an' : 'no'} --out`, { usage });
    }
    const [seed, steps] = (['seed', 'steps'] as const).map((name) => count({ usage }, name, values[name]));
    const model = await readModelFiles(folder);
    const takes = await readTakes(paths);
    if (takes.length < LEAST_RECORDINGS) {
      throw new RillError('bad-audio', {
        got: `${takes.length} of ${paths.length} takes that are fit`,
        expected: `at least ${LEAST_RECORDINGS}; ten are good`,
        remedy: 'Record the phrase again, once in each file.',
      });
    }
    const samples = await readSamples(folder);
    const negatives = await Promise.all((values.negatives?.split(',') ?? []).map(readRecording));
    const speech = [await openNegativeSpeech()];
    const input = {
      ...{ model, phrase, speech, negatives, seed, steps },
      recordings: takes.map(({ waveform }) => waveform),
      rehearsal: samples.map(({ waveform, text }) => ({ waveform, text })),
    };
    const learn = async (runtime: Runtime) => {
      const report = new Report();
      return runtime.run('teach', input, report.listen).finally(() => {
        report.end();
      });
    };
    const files = await withRuntime({ usage }, values, learn);
    await writeFolder(out, { ...files });
    const own = takes.map(({ waveform }, i) => ({ name: `${fileName(phrase)}-${i + 1}.wav`, text: phrase, waveform }));
    await writeFolder(join(out, 'samples'), sampleFiles([...samples, ...own]));
    print(`${out} knows ${keywordPhrases(openModel(files)).map(printable).join(', ')}`);
    print('It decodes by CTC: its decoder and joiner were left out.');
    print(`Try it: rill spot ${out} recording.wav`);
  },
};

const fileName = (phrase: string) => phrase.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-');
