/** Sound out of whatever ffmpeg reads: mp3, flac, ogg, m4a, video. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RillError } from '../errors.ts';

/** Of what ffmpeg says; its last line is the reason of a failure. */
const KEPT_CHARACTERS = 4096;

/**
 * Decodes with ffmpeg, in a process of its own that is no further ahead than it is read.
 *
 * @param input a path, or bytes as they come
 * @param name of the recording, for errors
 * @param onDuration called when ffmpeg has found out how many seconds it lasts
 * @returns a WAV stream of the first audio track: float32, at the file's own rate and channels
 * @throws RillError `bad-audio` without ffmpeg, or when it cannot read the input.
 */
export async function* decodeWithFfmpeg(
  input: string | AsyncIterable<Uint8Array>,
  name: string,
  onDuration: (seconds: number) => void = () => undefined,
): AsyncGenerator<Uint8Array> {
  const isPath = typeof input === 'string';
  const source = isPath ? `file:${input}` : 'pipe:0';
  // A playlist may name addresses, or files of this machine: bytes from elsewhere open nothing but the pipe.
  const protocols = isPath ? 'file,pipe' : 'pipe';
  const reading = ['-hide_banner', '-nostats', '-protocol_whitelist', protocols, '-i', source];
  const writing = ['-vn', '-sn', '-dn', '-c:a', 'pcm_f32le', '-f', 'wav', 'pipe:1'];
  const child = spawn('ffmpeg', [...(isPath ? ['-nostdin'] : []), ...reading, ...writing], {
    stdio: [isPath ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const { stdin, stdout, stderr } = child;
  await once(child, 'spawn').catch((cause: unknown) => {
    throw withoutFfmpeg(name, cause);
  });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  let said = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT_CHARACTERS);
    const seconds = durationIn(said);
    if (seconds !== undefined) {
      onDuration(seconds);
    }
  });
  if (!isPath && stdin) {
    // ffmpeg may stop reading before the end; why, it says itself.
    pipeline(Readable.from(input), stdin).catch(() => undefined);
  }
  try {
    for await (const bytes of stdout ?? []) {
      yield bytes as Uint8Array;
    }
    const [code] = await ended;
    if (code !== 0) {
      throw unreadable(name, said);
    }
  } finally {
    child.kill('SIGKILL');
  }
}

/** `Duration: 00:01:02.50` of what ffmpeg says of its input. */
function durationIn(said: string): number | undefined {
  const match = /Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)/.exec(said);
  return match ? 3600 * Number(match[1]) + 60 * Number(match[2]) + Number(match[3]) : undefined;
}

function withoutFfmpeg(name: string, cause: unknown): RillError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new RillError(
    'bad-audio',
    {
      got: `${name}, which is no WAV file, and no ffmpeg to read it with (${words})`,
      expected: 'a WAV file, or the program ffmpeg on the PATH for all others',
      remedy: 'Install ffmpeg (https://ffmpeg.org; on Debian apt install ffmpeg), or convert the recording to WAV.',
    },
    { cause },
  );
}

function unreadable(name: string, said: string): RillError {
  const reason =
    said
      .trim()
      .split(/[\r\n]+/)
      .at(-1) ?? '';
  return new RillError('bad-audio', {
    got: `${name}, which ffmpeg cannot read (${reason.slice(-200)})`,
    expected: 'a recording, or a video with sound',
    remedy: 'Check that the file is whole, and that it has an audio track.',
  });
}
