import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ENDPOINT_DEFAULTS } from '../../src/decoder/endpoint.ts';
import { openModelFolder } from '../../src/node/files.ts';
import { OnlineRecognizer } from '../../src/recognizer/recognizer.ts';
import { sherpaMessage } from '../../src/server/sherpa-message.ts';
import { WasmEngine } from '../../src/wasm/engine.ts';
import type { Waveform } from '../../src/waveform/waveform.ts';
import { readWav } from '../../src/waveform/wav.ts';
import { bundledModel } from '../commands/arguments.ts';
import { readInput } from '../files.ts';
import { randomSource } from '../runtime/random-model.ts';
import { CallClient, type CallAccount } from './call-client.ts';

const bundledFolder = bundledModel({ usage: '' });

export interface KillOptions {
  /** The address of a Redis. */
  redis: string;
  calls: number;
  /** Seconds of audio in a call. */
  seconds: number;
  /** 1 for real time. */
  speed: number;
  /** Of audio, from one save to the next. */
  saveSeconds: number;
  seed: number;
}

/** What came of one round. */
export interface RoundReport {
  calls: number;
  /** Calls whose transcript is not, to the last digit, what is heard unbroken. */
  wrong: number;
  /** Results that were told twice. */
  repeated: number;
  /** Calls that had to go to the other server. */
  moved: number;
  /** Seconds of audio that were sent again, all calls together. */
  sentAgainSeconds: number;
}

/** A call's audio, and what it is to hear. */
interface Call {
  audio: Waveform;
  unbroken: readonly ReturnType<typeof sherpaMessage>[];
}

/** Segments end soon, so that a call of some seconds has several. */
const TRAILING_SILENCE = 0.4;
const CHUNK_FRAMES = 4;
const MOST_SESSIONS = 64;

/** The part of a call's audio that was spoken when a server is killed. */
const EARLIEST = 0.2;
const LATEST = 0.8;

/** Two servers and their callers: in each round one server is killed in the middle of all calls. */
export class KillTest {
  readonly #options: KillOptions;
  readonly #calls: readonly Call[];
  readonly #servers: Server[];
  readonly #random: () => number;
  #round = 0;

  private constructor(options: KillOptions, calls: readonly Call[], servers: Server[]) {
    this.#options = options;
    this.#calls = calls;
    this.#servers = servers;
    this.#random = randomSource(options.seed);
  }

  static async start(options: KillOptions): Promise<KillTest> {
    const calls = await hearUnbroken(await audioOf(options));
    return new KillTest(options, calls, [await startServer(options), await startServer(options)]);
  }

  /** All calls at once; kill -9 for one of the servers, which another takes the place of. */
  async round(): Promise<RoundReport> {
    const round = this.#round++;
    const victim = round % this.#servers.length;
    const killAt = EARLIEST + ((this.#random() + 1) / 2) * (LATEST - EARLIEST);
    const clients = this.#calls.map(({ audio }, i) => {
      const addresses = () => rotated(this.#servers, i).map(({ address }) => address);
      return new CallClient(`round-${this.#options.seed}-${round}-call-${i}`, audio, addresses, this.#options.speed);
    });
    const running = Promise.all(clients.map((client) => client.run()));
    while (clients.every(({ progress }) => progress < killAt)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await kill(this.#servers[victim].process);
    this.#servers[victim] = await startServer(this.#options);
    return this.#report(await running);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map(({ process }) => kill(process)));
  }

  #report(accounts: readonly CallAccount[]): RoundReport {
    const rate = this.#calls[0].audio.sampleRate;
    const sum = (of: (account: CallAccount) => number) => accounts.reduce((total, account) => total + of(account), 0);
    return {
      calls: accounts.length,
      wrong: accounts.filter(({ results }, i) => !isRight(results, this.#calls[i].unbroken)).length,
      repeated: sum(({ repeated }) => repeated),
      moved: accounts.filter(({ reconnections }) => reconnections > 0).length,
      sentAgainSeconds: sum(({ sentAgain }) => sentAgain) / rate,
    };
  }
}

/** Whether every last result of a segment has come, and nothing that is not heard unbroken. */
function isRight(results: CallAccount['results'], unbroken: Call['unbroken']): boolean {
  const isSame = (number: number) => JSON.stringify(results.get(number)) === JSON.stringify(unbroken[number - 1]);
  const finals = unbroken.flatMap(({ is_final }, i) => (is_final ? [i + 1] : []));
  return finals.every(isSame) && [...results.keys()].every(isSame);
}

function rotated<Item>(items: readonly Item[], by: number): Item[] {
  return items.map((_, i) => items[(i + by) % items.length]);
}

/** Parts of the bundled long recording, each from another place on. */
async function audioOf({ calls, seconds }: KillOptions): Promise<Waveform[]> {
  const { samples, sampleRate } = readWav(await readInput(`${bundledFolder}/samples/stream.wav`));
  const length = Math.round(seconds * sampleRate);
  return Array.from({ length: calls }, (_, i) => {
    const from = Math.floor((i * (samples.length - length)) / Math.max(1, calls - 1));
    return { samples: samples.slice(from, from + length), sampleRate };
  });
}

async function hearUnbroken(audio: readonly Waveform[]): Promise<Call[]> {
  const engine = new WasmEngine();
  const model = await openModelFolder(bundledFolder);
  const recognizer = await OnlineRecognizer.create(engine, model, {
    chunkFrames: CHUNK_FRAMES,
    endpointRules: { rule2: { ...ENDPOINT_DEFAULTS.rule2, minTrailingSilence: TRAILING_SILENCE } },
  });
  const symbols = model.tokens?.symbols ?? [];
  const calls: Call[] = [];
  for (const each of audio) {
    const unbroken: Call['unbroken'][number][] = [];
    for await (const result of recognizer.transcribe([each])) {
      unbroken.push(sherpaMessage(result, { symbols }, false));
    }
    calls.push({ audio: each, unbroken });
  }
  recognizer.dispose();
  engine.dispose();
  return calls;
}

interface Server {
  process: ChildProcess;
  address: string;
}

async function startServer({ redis, saveSeconds, speed }: KillOptions): Promise<Server> {
  const rill = fileURLToPath(new URL('../rill.ts', import.meta.url));
  const options = {
    port: 0,
    'vosk-port': 'none',
    host: '127.0.0.1',
    device: 'cpu',
    threads: 1,
    chunk: CHUNK_FRAMES,
    'rule2-min-trailing-silence': TRAILING_SILENCE,
    'max-sessions': MOST_SESSIONS,
    'save-seconds': saveSeconds / speed,
    redis,
  };
  const flags = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const args = ['--import', 'tsx', rill, 'serve', bundledFolder, ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { port, msg } = JSON.parse(line) as { port?: number; msg: string };
      if (msg === 'listening' && port !== undefined) {
        resolve(port);
      }
    });
    child.once('exit', (code) => {
      reject(new Error(`a server ended with status ${code} before it could be reached`));
    });
  });
  return { process: child, address: `ws://127.0.0.1:${port}` };
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
