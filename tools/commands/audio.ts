/** What the commands over recordings share: each file through a job, what it says on the way, what it gives. */
import { RillError } from '../../src/errors.ts';
import { clock } from '../clock.ts';
import { failureLine, exitStatus, BAD_INPUT } from '../failures.ts';
import { readModelFiles } from '../files.ts';
import { STDIN, nameOf, openRecording, type Recording } from '../recordings.ts';
import type { JobEvent, TranscribeInput } from '../runtime/jobs.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { Progress, note } from '../terminal.ts';
import { RUNTIME_OPTIONS, count, lazyRuntime, usageError, type Command, type Options } from './arguments.ts';

const DEFAULT_CHUNK_FRAMES = 4;
const RAW_RATES = { lowest: 1000, highest: 768_000 };

/** Options of every command over recordings. */
export const RECORDING_OPTIONS = {
  chunk: {
    type: 'string',
    value: 'N',
    help: 'encoder frames of 40 ms in a step: more is faster, and words come later',
    otherwise: String(DEFAULT_CHUNK_FRAMES),
  },
  'raw-rate': {
    type: 'string',
    value: 'HZ',
    help: 'stdin has samples of 16 bits at this rate and no header (s16le, one channel)',
    otherwise: 'stdin has a WAV file, or what ffmpeg reads',
  },
  ...RUNTIME_OPTIONS,
} as const satisfies Options;

/** What a command does with each recording. */
export interface Listening<Output> {
  /** Starts the job for one recording. */
  run(
    runtime: Runtime,
    input: Pick<TranscribeInput, 'model' | 'audio' | 'chunkFrames'>,
    onEvent: (event: JobEvent) => void,
  ): Promise<Output>;
  /** Words and keywords as they are heard. */
  onEvent(event: JobEvent, name: string): void;
  /** What a whole recording gave. */
  onResult(path: string, output: Output): void | Promise<void>;
}

type Values = Partial<Record<keyof typeof RECORDING_OPTIONS, string>>;

/**
 * One recording after the other. One that cannot be read is told of on stderr, and the others are still done.
 *
 * @returns the exit status, if any could not be read
 */
export async function eachRecording<Output>(
  command: Pick<Command, 'usage'>,
  [folder, ...paths]: readonly string[],
  options: Values,
  listening: Listening<Output>,
): Promise<number | undefined> {
  if (folder === undefined || paths.length === 0) {
    throw usageError(folder === undefined ? 'no model folder' : 'no recording', command);
  }
  const rawRate = rawRateOf(command, paths, options['raw-rate']);
  const chunkFrames = count(command, 'chunk', options.chunk) ?? DEFAULT_CHUNK_FRAMES;
  const runtime = lazyRuntime(command, options);
  const model = await readModelFiles(folder);
  let status: number | undefined;
  try {
    for (const path of paths) {
      const failed = await hear(path, rawRate, async (recording) => {
        const progress = new RecordingProgress(nameOf(path), recording);
        const input = { model, audio: recording.audio, chunkFrames };
        const output = await listening
          .run(await runtime.open(), input, (event) => {
            if (event.type === 'progress') {
              progress.update(event.done);
            } else {
              progress.end();
              listening.onEvent(event, nameOf(path));
            }
          })
          .finally(() => {
            progress.end();
          });
        await listening.onResult(path, output);
      });
      status = failed ?? status;
    }
  } finally {
    await runtime.close();
  }
  return status;
}

/** Opens a recording for `use`; what is wrong with the recording itself goes to stderr. @returns the exit status then */
async function hear(
  path: string,
  rawRate: number | undefined,
  use: (recording: Recording) => Promise<void>,
): Promise<number | undefined> {
  let recording: Recording | undefined;
  try {
    recording = await openRecording(path, { rawRate });
    await use(recording);
    return undefined;
  } catch (error) {
    // What is wrong with the model or an option would be wrong with the next recording, too.
    const isItsOwn = recording
      ? error instanceof RillError && error.code === 'bad-audio'
      : exitStatus(error) === BAD_INPUT;
    if (!isItsOwn) {
      throw error;
    }
    note(failureLine(error));
    return BAD_INPUT;
  } finally {
    recording?.close();
  }
}

function rawRateOf(
  command: Pick<Command, 'usage'>,
  paths: readonly string[],
  text: string | undefined,
): number | undefined {
  if (paths.filter((path) => path === STDIN).length > 1) {
    throw usageError('stdin (-) more than once', command);
  }
  const rate = count(command, 'raw-rate', text);
  if (rate === undefined) {
    return undefined;
  }
  if (!paths.includes(STDIN)) {
    throw usageError('--raw-rate without stdin (-)', command);
  }
  if (rate < RAW_RATES.lowest || rate > RAW_RATES.highest) {
    throw usageError(`--raw-rate ${rate} (it must be ${RAW_RATES.lowest} to ${RAW_RATES.highest})`, command);
  }
  return rate;
}

/** How far into a recording its decoding is, and how fast. */
class RecordingProgress {
  readonly #progress: Progress;
  readonly #recording: Recording;
  /** Where its decoding was first told of: what came before was loading. */
  #first: { done: number; at: number } | undefined;

  constructor(name: string, recording: Recording) {
    this.#progress = new Progress(name);
    this.#recording = recording;
  }

  /** @param done seconds of the recording */
  update(done: number): void {
    const { seconds } = this.#recording;
    const at = performance.now();
    const first = (this.#first ??= { done, at });
    const length = seconds === undefined ? '' : ` of ${clock(seconds)}`;
    const factor =
      done > first.done ? `, real-time factor ${((at - first.at) / 1000 / (done - first.done)).toFixed(3)}` : '';
    this.#progress.update(done, seconds, `${clock(done)}${length}${factor}`);
  }

  end(): void {
    this.#progress.end();
  }
}
