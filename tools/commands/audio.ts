/** What `transcribe` and `spot` share: each recording through the model, words and keywords as they come. */
import { readWav } from '../../src/waveform/wav.ts';
import { readInput, readModelFiles } from '../files.ts';
import type { JobEvent, TranscribeInput, TranscribeOutput } from '../runtime/jobs.ts';
import { Progress } from '../terminal.ts';
import { count, withRuntime, type Command } from './arguments.ts';

export interface AudioOptions {
  chunk?: string;
  runtime?: string;
  adapter?: string;
  recognizer?: TranscribeInput['options'];
}

const DEFAULT_CHUNK_FRAMES = 4;

/**
 * @param onEvent words and keywords as they are heard
 * @param onResult what a whole recording gave
 */
export async function eachRecording(
  command: Pick<Command, 'usage'>,
  [folder, ...paths]: readonly string[],
  options: AudioOptions,
  onEvent: (event: JobEvent) => void,
  onResult: (path: string, output: TranscribeOutput) => void,
): Promise<void> {
  const chunkFrames = count(command, 'chunk', options.chunk) ?? DEFAULT_CHUNK_FRAMES;
  const model = await readModelFiles(folder);
  // All files are read before the first is decoded: a bad one must not cost the others' time.
  const recordings = await Promise.all(paths.map(async (path) => ({ path, ...readWav(await readInput(path)) })));
  await withRuntime(command, options, async (runtime) => {
    for (const { path, samples, sampleRate } of recordings) {
      const progress = new Progress(path);
      const output = await runtime
        .run('transcribe', { model, samples, sampleRate, chunkFrames, options: options.recognizer }, (event) => {
          if (event.type === 'progress') {
            progress.listen(event);
          } else {
            progress.end();
            onEvent(event);
          }
        })
        .finally(() => progress.end());
      onResult(path, output);
    }
  });
}
