/** What the commands over recordings share: each file through a job, what it says on the way, what it gives. */
import type { ModelFiles } from '../../src/model/model.ts';
import { readRecording } from '../audio-features.ts';
import { readModelFiles } from '../files.ts';
import type { JobEvent } from '../runtime/jobs.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Progress } from '../terminal.ts';
import { count, withRuntime, type Command } from './arguments.ts';

export interface Recording {
  model: ModelFiles;
  samples: Float32Array<ArrayBuffer>;
  sampleRate: number;
  chunkFrames: number;
}

const DEFAULT_CHUNK_FRAMES = 4;

/**
 * @param run starts the job for one recording
 * @param onEvent words and keywords as they are heard
 * @param onResult what a whole recording gave
 */
export async function eachRecording<Output>(
  command: Pick<Command, 'usage'>,
  [folder, ...paths]: readonly string[],
  options: { chunk?: string; runtime?: string; adapter?: string },
  run: (runtime: Runtime, recording: Recording, onEvent: (event: JobEvent) => void) => Promise<Output>,
  onEvent: (event: JobEvent, path: string) => void,
  onResult: (path: string, output: Output) => void,
): Promise<void> {
  const chunkFrames = count(command, 'chunk', options.chunk) ?? DEFAULT_CHUNK_FRAMES;
  const model = await readModelFiles(folder);
  // All files are read before the first is decoded: a bad one must not cost the others' time.
  const recordings = await Promise.all(paths.map(async (path) => ({ path, ...(await readRecording(path)) })));
  await withRuntime(command, options, async (runtime) => {
    for (const { path, samples, sampleRate } of recordings) {
      const progress = new Progress(path);
      const output = await run(runtime, { model, samples, sampleRate, chunkFrames }, (event) => {
        if (event.type === 'progress') {
          progress.listen(event);
        } else {
          progress.end();
          onEvent(event, path);
        }
      }).finally(() => {
        progress.end();
      });
      onResult(path, output);
    }
  });
}
