/** How a corpus is transcribed, the same in all processes that work on it. */
import { createHash } from 'node:crypto';
import { isAbsolute, resolve } from 'node:path';
import { RillError } from '../../src/errors.ts';
import { openModel, type ModelFiles } from '../../src/model/model.ts';
import { openNodeEngine, type NodeEngineOptions } from '../../src/node/engine.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import type { CorpusFile } from '../../src/server/corpus/corpus-file.ts';
import { Hearing, type Heard, type OpenAudio } from '../../src/server/corpus/hearing.ts';
import { readItem } from '../audio-features.ts';
import type { SearchChoice } from '../commands/search-options.ts';
import { openRecording } from '../recordings.ts';
import { RECORDING_ENDPOINTS } from '../runtime/jobs.ts';
import { TranscriptBuilder } from '../../src/recognizer/transcript.ts';
import { note } from '../terminal.ts';
import { jsonLine } from '../../src/recognizer/transcript-formats.ts';

/** What decides on the texts, beside the model: the submitter's, for all workers. */
export interface CorpusSettings extends SearchChoice {
  /** Encoder frames of a step: endpoints are looked for after each. */
  chunkFrames: number;
}

export const formatSettings = (settings: CorpusSettings): string => JSON.stringify(settings);

/** @throws RillError `bad-argument` for what no submitter of this version has written. */
export function parseSettings(text: string): CorpusSettings {
  try {
    return JSON.parse(text) as CorpusSettings;
  } catch (cause) {
    const got = `settings of a corpus that are no JSON (${String(cause)})`;
    throw new RillError('bad-argument', { got, expected: 'those of a submitter', remedy: 'Submit the corpus again.' });
  }
}

/** Tells a model's bytes from others. */
export function hashModel(files: ModelFiles): string {
  const hash = createHash('sha256');
  for (const part of [files['config.json'], files['tokens.txt'] ?? '', files['model.safetensors']]) {
    hash.update(part);
  }
  return hash.digest('hex');
}

/** Tells one list, model and settings from others. */
export function fingerprintOf(files: readonly CorpusFile[], modelHash: string, settings: string): string {
  const hash = createHash('sha256').update(modelHash).update(settings);
  files.forEach(({ audio, start, duration }) => hash.update(`${JSON.stringify([audio, start, duration])}\n`));
  return hash.digest('hex');
}

/** What the recognizer runs on, and how many files side by side. */
export interface EngineChoice extends Pick<NodeEngineOptions, 'device' | 'threads' | 'adapter'> {
  streams: number;
}

/** @param root the folder that paths begin at; empty without one */
export function openHearing(
  files: ModelFiles,
  { method, options, chunkFrames }: CorpusSettings,
  { streams, ...engineOptions }: EngineChoice,
  root: string,
): Hearing {
  const model = openModel(files);
  return new Hearing({
    openRecognizer: async () => {
      // The work leaves no idle moments for a rehearsal.
      const engine = await openNodeEngine({ ...engineOptions, rehearse: 'before' });
      const recognizer = await OnlineRecognizer.create(engine, model, {
        ...options,
        decodingMethod: method,
        endpointRules: RECORDING_ENDPOINTS,
        chunkFrames,
        maxStreams: streams,
      });
      note(`${engine.device.name}, ${streams} files side by side`);
      return recognizer.ownEngine();
    },
    openAudio: (file) => openAudio(file, root),
  });
}

async function openAudio(file: CorpusFile, root: string): Promise<OpenAudio> {
  const path = isAbsolute(file.audio) ? file.audio : resolve(root, file.audio);
  if (file.start !== undefined || file.duration !== undefined) {
    return { audio: [await readItem({ ...file, audio: path })] };
  }
  return openRecording(path);
}

/** The line of `rill transcribe --format json`. */
export function lineOf(file: CorpusFile, { segments }: Heard): string {
  const builder = new TranscriptBuilder();
  segments.forEach((segment) => builder.accept(segment));
  return jsonLine(file, builder.transcript);
}
