/**
 * `npm run bench:soak`: hours of audio through a session manager, sessions coming and going. Each session must hear
 * what it hears alone, and neither GPU buffers nor the process may grow.
 */
import { join } from 'node:path';
import { RillError } from '../src/errors.ts';
import { openModel } from '../src/model/model.ts';
import { OnlineRecognizer } from '../src/recognizer/recognizer.ts';
import type { RecognitionResult } from '../src/recognizer/results.ts';
import { SessionManager, type CloseReason } from '../src/recognizer/sessions.ts';
import { readWav } from '../src/waveform/wav.ts';
import type { Waveform } from '../src/waveform/waveform.ts';
import type { GpuContext } from '../src/webgpu/device/context.ts';
import { WebGpuEngine } from '../src/webgpu/engine.ts';
import { bundledModel, count, parse, usageError } from './commands/arguments.ts';
import { readInput, readModelFiles, writeFolder } from './files.ts';
import { plot } from './plot.ts';
import { runProgram } from './program.ts';
import { totalBytes, type Memory } from './runtime/bench-job.ts';
import { createNodeContext } from './runtime/node-gpu.ts';
import { randomSource } from './runtime/random-model.ts';
import { Progress, megabytes, note, print, table } from './terminal.ts';

const command = {
  program: 'npm run bench:soak --',
  summary: 'sessions that come and go for an hour of audio: nothing lost, nothing grown',
  usage: '[--minutes of audio, 60] [--wall-minutes M] [--sessions 32] [--seed 1] [--out docs] [--json]',
};
const FOLDER = bundledModel(command);
const CLIPS = 'alexa amelia athena computer jarvis smart-mirror snowboy view-glass stream'.split(' ');
const CHUNK_FRAMES = 8;
/** Audio that a session may be ahead of its decoding before its caller waits. */
const AHEAD_SECONDS = 4;
const HANG_UP_SHARE = 1 / 8;
const MS_BETWEEN_SAMPLES = 500;
const TABLE_ROWS = 12;
/** What the process may have grown by at the end: its heap breathes, a leak of an hour would show. */
const RSS_GROWTH = 1.25;
/** Buffers and states grow until all sessions have been there at once. */
const WARM_UP_SHARE = 0.1;
/** And for so long at least: until then a further readback buffer may still be wanted. */
const WARM_UP_SECONDS = 2;

/** What a session of a clip must give, to the last digit: the result of each segment. */
interface Clip extends Waveform {
  name: string;
  expected: string;
}

interface Sample {
  /** Since the start. */
  wallSeconds: number;
  audioMinutes: number;
  sessions: number;
  hungUp: number;
  buffers: number;
  /** Bytes by part. */
  gpu: Memory;
  rss: number;
  heap: number;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A session, the results of its segments, and why it has ended. */
function open(manager: SessionManager) {
  const results: RecognitionResult[] = [];
  let end: (reason: CloseReason, error?: RillError) => void = () => undefined;
  const closed = new Promise<CloseReason>((resolve, reject) => {
    end = (reason, error) => {
      if (error) {
        reject(error);
      } else {
        resolve(reason);
      }
    };
  });
  const onResult = (result: RecognitionResult) => {
    if (result.isFinal) {
      results.push(result);
    }
  };
  const session = manager.create({ onResult, onClose: end });
  return { session, results, closed };
}

async function readClips(manager: SessionManager): Promise<Clip[]> {
  const clips: Clip[] = [];
  for (const name of CLIPS) {
    const wave = readWav(await readInput(`${FOLDER}/samples/${name}.wav`));
    const { session, results, closed } = open(manager);
    session.push(wave);
    session.finish();
    await closed;
    note(`${name} alone: ${results.map(({ text }) => text).join(' ')}`);
    clips.push({ ...wave, name, expected: JSON.stringify(results) });
  }
  return clips;
}

class Soak {
  readonly samples: Sample[] = [];
  readonly #gpu: GpuContext;
  readonly #manager: SessionManager;
  readonly #clips: readonly Clip[];
  readonly #random: () => number;
  readonly #start = performance.now();
  #audioSeconds = 0;
  #sessions = 0;
  #hungUp = 0;

  constructor(gpu: GpuContext, manager: SessionManager, clips: readonly Clip[], seed: number) {
    this.#gpu = gpu;
    this.#manager = manager;
    this.#clips = clips;
    const next = randomSource(seed);
    this.#random = () => (next() + 1) / 2;
  }

  /** @param audioMinutes and @param wallMinutes whichever is reached first ends it */
  async run(sessions: number, audioMinutes: number, wallMinutes: number, progress: Progress): Promise<void> {
    const share = () => {
      const wall = (performance.now() - this.#start) / 60_000 / wallMinutes;
      return Math.max(this.#audioSeconds / 60 / audioMinutes, wall);
    };
    const timer = setInterval(() => {
      this.#sample();
      progress.update(Math.min(1, share()), 1);
    }, MS_BETWEEN_SAMPLES);
    let failed = false;
    const caller = async () => {
      while (share() < 1 && !failed) {
        await this.#call();
        await pause(200 * this.#random());
      }
    };
    try {
      await Promise.all(Array.from({ length: sessions }, caller));
      this.#sample();
    } finally {
      failed = true;
      clearInterval(timer);
      progress.end();
    }
  }

  /** One session from its first sample to its last, or to a hang-up. */
  async #call(): Promise<void> {
    const { name, samples, sampleRate, expected } = this.#clips[Math.floor(this.#random() * this.#clips.length)];
    const end = this.#random() < HANG_UP_SHARE ? this.#random() * samples.length : Infinity;
    const { session, results, closed } = open(this.#manager);
    for (let at = 0; at < samples.length;) {
      const piece = 160 + Math.floor(this.#random() * sampleRate);
      session.push({ samples: samples.subarray(at, at + piece), sampleRate });
      this.#audioSeconds += Math.min(piece, samples.length - at) / sampleRate;
      at += piece;
      if (at > end) {
        session.discard();
        await closed;
        this.#hungUp++;
        return;
      }
      do {
        await pause(100 * this.#random());
      } while (session.backlogSeconds > AHEAD_SECONDS);
    }
    session.finish();
    await closed;
    this.#sessions++;
    if (JSON.stringify(results) !== expected) {
      throw new RillError('gpu', {
        got: `${JSON.stringify(results)} in a session of ${name}`,
        expected: `${expected}, as alone`,
        remedy: 'Report it with the name of the adapter.',
      });
    }
  }

  #sample(): void {
    const { rss, heapUsed } = process.memoryUsage();
    this.samples.push({
      wallSeconds: (performance.now() - this.#start) / 1000,
      audioMinutes: this.#audioSeconds / 60,
      sessions: this.#sessions,
      hungUp: this.#hungUp,
      buffers: this.#gpu.resources,
      gpu: Object.fromEntries(this.#gpu.memory),
      rss,
      heap: heapUsed,
    });
  }
}

/** What changed after the warm-up. */
function summarize(samples: readonly Sample[]) {
  const first = samples.findIndex(({ wallSeconds }) => wallSeconds >= WARM_UP_SECONDS);
  const from = Math.max(first, Math.ceil(WARM_UP_SHARE * samples.length));
  const steady = samples.slice(Math.min(from, samples.length - 1));
  const range = (values: readonly number[]) => ({ least: Math.min(...values), most: Math.max(...values) });
  return {
    buffers: range(steady.map(({ buffers }) => buffers)),
    gpuBytes: range(steady.map(({ gpu }) => totalBytes(gpu))),
    rss: range(steady.map(({ rss }) => rss)),
    heap: range(steady.map(({ heap }) => heap)),
  };
}

function report(samples: readonly Sample[]): string {
  const stride = Math.max(1, Math.ceil(samples.length / TABLE_ROWS));
  const shown = samples.filter((_, i) => i === samples.length - 1 || (i % stride === 0 && i < samples.length - 1));
  const parts = Object.keys(samples[samples.length - 1].gpu);
  const heads = ['wall s', 'audio min', 'sessions', 'hung up', 'buffers', ...parts.map((part) => `${part} MB`)];
  const rows = shown.map((sample) => [
    sample.wallSeconds.toFixed(0),
    sample.audioMinutes.toFixed(1),
    String(sample.sessions),
    String(sample.hungUp),
    String(sample.buffers),
    ...parts.map((part) => megabytes(sample.gpu[part] ?? 0)),
    megabytes(sample.rss),
    megabytes(sample.heap),
  ]);
  return table([[...heads, 'RSS MB', 'heap MB'], ...rows]);
}

function draw(samples: readonly Sample[]): string {
  return plot(
    'minutes of audio',
    samples.map(({ audioMinutes }) => audioMinutes),
    [
      { title: 'GPU memory, MB', values: samples.map(({ gpu }) => totalBytes(gpu) / 1e6) },
      { title: 'GPU buffers', values: samples.map(({ buffers }) => buffers) },
      { title: 'process memory (RSS), MB', values: samples.map(({ rss }) => rss / 1e6) },
      { title: 'JavaScript heap, MB', values: samples.map(({ heap }) => heap / 1e6) },
    ],
  );
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    minutes: { type: 'string', default: '60' },
    'wall-minutes': { type: 'string', default: '1440' },
    sessions: { type: 'string', default: '32' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: 'docs' },
    json: { type: 'boolean' },
  });
  const [minutes, wallMinutes] = [Number(values.minutes), Number(values['wall-minutes'])];
  if (positionals.length > 0 || !(minutes > 0) || !(wallMinutes > 0)) {
    throw usageError(`${positionals.length} paths, ${values.minutes} minutes`, command);
  }
  const sessions = count(command, 'sessions', values.sessions) ?? 1;
  const seed = count(command, 'seed', values.seed) ?? 1;
  const gpu = await createNodeContext();
  const model = openModel(await readModelFiles(FOLDER));
  const recognizer = await OnlineRecognizer.create(new WebGpuEngine(gpu, { rehearse: 'before' }), model, {
    chunkFrames: CHUNK_FRAMES,
    maxStreams: sessions,
  });
  const manager = new SessionManager(recognizer);
  const soak = new Soak(gpu, manager, await readClips(manager), seed);
  await soak.run(sessions, minutes, wallMinutes, new Progress('soaking'));
  const { samples } = soak;
  const [last] = samples.slice(-1);
  const output = {
    adapter: gpu.adapterName,
    sessionsAtATime: sessions,
    seed,
    steady: summarize(samples),
    last,
    samples,
  };
  manager.dispose();
  recognizer.dispose();
  const left = gpu.resources;
  await writeFolder(values.out, {
    'soak.svg': draw(samples),
    'soak.json': `${JSON.stringify(output)}\n`,
  });
  note(
    `${gpu.adapterName}; ${join(values.out, 'soak.svg')} and soak.json written; GPU buffers left afterwards: ${left}`,
  );
  print(values.json ? JSON.stringify(output) : report(samples));
  const { buffers, gpuBytes, rss } = output.steady;
  if (last.rss > RSS_GROWTH * rss.least) {
    throw new RillError('internal', {
      got: `a process of ${megabytes(last.rss)} MB at the end`,
      expected: `at most ${RSS_GROWTH} times the ${megabytes(rss.least)} MB after the warm-up`,
      remedy: 'Something is not given back: see soak.json.',
    });
  }
  if (left > 0 || buffers.least !== buffers.most || gpuBytes.least !== gpuBytes.most) {
    throw new RillError('gpu', {
      got: `${buffers.least} to ${buffers.most} GPU buffers, ${gpuBytes.least} to ${gpuBytes.most} bytes, ${left} buffers left`,
      expected: 'the same number after the warm-up, and none at the end',
      remedy: 'Something is not given back: see soak.json.',
    });
  }
}

await runProgram(command, main);
