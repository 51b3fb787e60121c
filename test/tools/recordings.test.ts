import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openRecording, readRecording } from '../../tools/recordings.ts';
import { withTerminal } from '../../tools/terminal.ts';
import { wavFile } from '../../tools/wav.ts';
import { expectSameBytes, largestDifference } from '../support/close.ts';
import { failure } from '../support/failure.ts';
import { sample, wakeWordsFolder } from '../support/fixtures.ts';

const CLIP = `${wakeWordsFolder}/samples/alexa.wav`;
const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const REAL_PATH = process.env.PATH;

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-sound-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

/** Puts a shell script in the place of ffmpeg; without lines there is none. */
async function fakeFfmpeg(...lines: string[]): Promise<void> {
  await rm(at('ffmpeg'), { force: true });
  if (lines.length > 0) {
    await writeFile(at('ffmpeg'), ['#!/bin/sh', `PATH='${REAL_PATH}'`, ...lines, ''].join('\n'));
    await chmod(at('ffmpeg'), 0o755);
  }
  vi.stubEnv('PATH', folder);
}

/** Runs `use` with bytes behind stdin, in small pieces; what is noted comes back with what it gives. */
async function withStdin<Result>(bytes: Uint8Array, use: () => Promise<Result>) {
  const written = { stdout: '', stderr: '' };
  const writer = (name: keyof typeof written) => ({ write: (text: string) => ((written[name] += text), true) });
  function* pieces() {
    for (let start = 0; start < bytes.length; start += 1001) {
      yield bytes.subarray(start, start + 1001);
    }
  }
  const terminal = { stdin: Readable.from(pieces()), stdout: writer('stdout'), stderr: writer('stderr') };
  return { result: await withTerminal(terminal, use), noted: written.stderr };
}

async function collect(path: string, rawRate?: number) {
  const recording = await openRecording(path, { rawRate });
  const pieces: Float32Array[] = [];
  const rates = new Set<number>();
  for await (const { samples, sampleRate } of recording.audio) {
    pieces.push(samples);
    rates.add(sampleRate);
  }
  const samples = Float32Array.from(pieces.flatMap((piece) => [...piece]));
  return { samples, rates, seconds: recording.seconds, recording };
}

describe('a WAV file', () => {
  it('is read without ffmpeg, and its length is known', async () => {
    await fakeFfmpeg();
    const { samples, rates, seconds } = await collect(CLIP);
    const expected = await sample('alexa');
    expectSameBytes(samples, expected.samples, 'samples');
    expect([...rates]).toEqual([16000]);
    expect(seconds).toBe(expected.samples.length / 16000);
  });

  it('that ends before its header says is noted on stderr', async () => {
    const bytes = await readFile(CLIP);
    await writeFile(at('cut.wav'), bytes.subarray(0, bytes.length - 1000));
    const { result, noted } = await withStdin(new Uint8Array(0), () => collect(at('cut.wav')));
    expect(result.samples).toHaveLength((await sample('alexa')).samples.length - 500);
    expect(noted).toBe(`${at('cut.wav')}: 1000 bytes of sound fewer than its header states; streamed, or cut off\n`);
  });

  it('that is long is read in pieces', async () => {
    const sampleRate = 48_000;
    const samples = Float32Array.from({ length: 9 << 20 }, (_, i) => ((i % 60_000) - 30_000) / 32_768);
    await writeFile(at('long.wav'), wavFile({ samples, sampleRate }));
    const recording = await openRecording(at('long.wav'));
    expect(recording.seconds).toBe(samples.length / sampleRate);
    let [count, longest] = [0, 0];
    for await (const piece of recording.audio) {
      expect(piece.samples[0]).toBe(samples[count]);
      count += piece.samples.length;
      longest = Math.max(longest, piece.samples.length);
    }
    expect(count).toBe(samples.length);
    expect(longest).toBeLessThan(sampleRate);
  });

  it('that is compressed goes to ffmpeg, and is refused in its own words where there is none', async () => {
    const bytes = await readFile(CLIP);
    bytes[20] = 7;
    await writeFile(at('mulaw.wav'), bytes);
    await fakeFfmpeg();
    expect(await failure('bad-audio', () => collect(at('mulaw.wav')))).toContain('WAV format 7');
    await fakeFfmpeg(`exec cat '${CLIP}'`);
    expectSameBytes((await collect(at('mulaw.wav'))).samples, (await sample('alexa')).samples, 'samples');
  });
});

describe('what is no WAV file', () => {
  beforeAll(() => writeFile(at('-clip.mp3'), 'ID3 and so on, an mp3 file'));

  it('is decoded by ffmpeg, which is given a file, no address, and tells how long it is', async () => {
    await fakeFfmpeg('echo "$@" >&2', 'echo "  Duration: 01:02:03.50, start: 0.0" >&2', `exec cat '${CLIP}'`);
    const { samples, rates, recording } = await collect(at('-clip.mp3'));
    expectSameBytes(samples, (await sample('alexa')).samples, 'samples');
    expect([...rates]).toEqual([16000]);
    // What a process says and what it gives come by ways of their own.
    await vi.waitFor(() => {
      expect(recording.seconds).toBe(3723.5);
    });
    await fakeFfmpeg('echo "$@" >&2', 'exit 1');
    const args = await failure('bad-audio', () => collect(at('-clip.mp3')));
    expect(args).toContain(`-protocol_whitelist file,pipe -i file:${at('-clip.mp3')} `);
    expect(args).toContain('-c:a pcm_f32le -f wav pipe:1');
  });

  it('names ffmpeg where it is not installed', async () => {
    await fakeFfmpeg();
    const message = await failure('bad-audio', () => collect(at('-clip.mp3')));
    expect(message).toContain('-clip.mp3, which is no WAV file, and no ffmpeg to read it with');
    expect(message).toContain('Install ffmpeg');
  });

  it('is refused with ffmpeg’s reason', async () => {
    await fakeFfmpeg('echo "Input #0" >&2', 'echo "x.mp3: Invalid data found" >&2', 'exit 187');
    expect(await failure('bad-audio', () => collect(at('-clip.mp3')))).toContain(
      '-clip.mp3, which ffmpeg cannot read (x.mp3: Invalid data found)',
    );
  });

  it('fails in its middle where ffmpeg does', async () => {
    await fakeFfmpeg(`head -c 9000 '${CLIP}'`, 'echo "out of memory" >&2', 'exit 1');
    const recording = await openRecording(at('-clip.mp3'));
    let count = 0;
    const listen = async () => {
      for await (const { samples } of recording.audio) {
        count += samples.length;
      }
    };
    expect(await failure('bad-audio', listen)).toContain('out of memory');
    expect(count).toBe((9000 - 44) / 2);
  });

  it('is read no further ahead than it is wanted, and ffmpeg ends with its reader', async () => {
    // The header of a stream that never ends.
    const header = new Uint8Array((await readFile(CLIP)).subarray(0, 44));
    new DataView(header.buffer).setUint32(40, 0xffffffff, true);
    await writeFile(at('header'), header);
    await fakeFfmpeg(`echo $$ > '${at('pid')}'`, `cat '${at('header')}'`, 'exec cat /dev/zero');
    const recording = await openRecording(at('-clip.mp3'));
    const pid = Number(await readFile(at('pid'), 'utf8'));
    const isRunning = () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    const before = process.memoryUsage().arrayBuffers;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 << 20);
    expect(isRunning()).toBe(true);
    recording.close();
    await vi.waitFor(() => expect(isRunning()).toBe(false));
  });

  it('is told of when it is not there, or a folder, or empty', async () => {
    await fakeFfmpeg();
    await writeFile(at('empty.mp3'), '');
    expect(await failure('bad-argument', () => collect(at('nowhere.mp3')))).toContain('nowhere.mp3');
    expect(await failure('bad-argument', () => collect(folder))).toContain(folder);
    expect(await failure('bad-audio', () => collect(at('empty.mp3')))).toContain(`an empty file in ${at('empty.mp3')}`);
  });
});

describe('stdin', () => {
  it('has a WAV file', async () => {
    await fakeFfmpeg();
    const { result, noted } = await withStdin(await readFile(CLIP), () => collect('-'));
    expectSameBytes(result.samples, (await sample('alexa')).samples, 'samples');
    expect(noted).toBe('');
  });

  it('has samples without a header, at a rate that is given', async () => {
    const bytes = (await readFile(CLIP)).subarray(44);
    const { result } = await withStdin(bytes, () => collect('-', 8000));
    expectSameBytes(result.samples, (await sample('alexa')).samples, 'samples');
    expect([...result.rates]).toEqual([8000]);
  });

  it('has what ffmpeg reads', async () => {
    // What comes out is what went in, behind two letters.
    await fakeFfmpeg('exec tail -c +3');
    const bytes = Buffer.concat([Buffer.from('xx'), await readFile(CLIP)]);
    const { result } = await withStdin(bytes, () => collect('-'));
    expectSameBytes(result.samples, (await sample('alexa')).samples, 'samples');
  });

  it('is refused by name when nothing comes', async () => {
    await fakeFfmpeg();
    await withStdin(new Uint8Array(0), async () => {
      expect(await failure('bad-audio', () => collect('-'))).toContain('an empty file in stdin');
    });
  });
});

it('a pipe in the place of a file is read as it comes', async () => {
  const pipe = at('pipe');
  execFileSync('mkfifo', [pipe]);
  const [{ samples }] = await Promise.all([
    readRecording(pipe),
    readFile(CLIP).then((bytes) => writeFile(pipe, bytes)),
  ]);
  expectSameBytes(samples, (await sample('alexa')).samples, 'samples');
});

describe.skipIf(!hasFfmpeg)('ffmpeg itself', () => {
  const make = (name: string, ...options: string[]) => {
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', CLIP, ...options, at(name)]);
    return at(name);
  };

  it.each([
    ['flac', []],
    ['mkv', ['-c:a', 'flac']],
    ['mov', ['-c:a', 'pcm_s16be']],
    ['aiff', []],
  ] as const)('gives the same samples out of %s', async (extension, options) => {
    const { samples, recording } = await collect(make(`lossless.${extension}`, ...options));
    const expected = await sample('alexa');
    expectSameBytes(samples, expected.samples, extension);
    await vi.waitFor(() => {
      expect(recording.seconds).toBeCloseTo(expected.samples.length / 16000, 1);
    });
  });

  it.each([
    ['mp3', 0.05],
    ['ogg', 0.05],
    ['m4a', 0.05],
    ['mp4', 0.05],
  ] as const)('gives nearly the same out of %s, at its own rate', async (extension, rms) => {
    const { samples, rates } = await collect(make(`lossy.${extension}`, '-ar', '24000'));
    expect([...rates]).toEqual([24000]);
    const expected = await sample('alexa');
    expect(samples.length / 24000).toBeCloseTo(expected.samples.length / 16000, 0);
    const power = (values: Float32Array) => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    expect(Math.abs(power(samples) - power(expected.samples))).toBeLessThan(rms);
  });

  it('averages channels as a WAV file’s are', async () => {
    const pan = ['-af', 'pan=stereo|c0=c0|c1=0*c0'];
    const { samples } = await collect(make('stereo.flac', ...pan));
    const half = (await sample('alexa')).samples.map((value) => value / 2);
    expect(largestDifference(samples, half)).toBeLessThan(1e-4);
  });

  it('refuses what has no sound, and a playlist of addresses', async () => {
    execFileSync('ffmpeg', [
      '-v',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      'color=size=16x16:duration=0.1',
      at('silent.mkv'),
    ]);
    expect(await failure('bad-audio', () => collect(at('silent.mkv')))).toContain('does not contain any stream');
    await writeFile(at('list.m3u8'), '#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n');
    await failure('bad-audio', () => collect(at('list.m3u8')));
  });
});
