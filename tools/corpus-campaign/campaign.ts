/** A corpus transcribed in one process, by workers, and by workers that are killed: the same lines all three times. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { CorpusQueue } from '../../src/server/corpus/queue.ts';
import { makeCorpus } from './made-corpus.ts';
import { startRedis, type RedisProcess } from '../server/redis-process.ts';

/** What a campaign is told. */
export interface CampaignOptions {
  files: number;
  workers: number;
  /** Workers to kill, at random moments. */
  kills: number;
  /** The longest pause between two kills, in seconds. */
  killSeconds: number;
  onNote: (text: string) => void;
}

/** What a campaign has found. */
export interface CampaignReport {
  files: number;
  /** Of audio. */
  seconds: number;
  /** Seconds that each took, process starts among them. */
  took: { inOneProcess: number; byWorkers: number; withKills: number };
  kills: number;
  /** Files that were heard twice and counted once: a worker that gets no processor for long loses its jobs to others. */
  again: { byWorkers: number; withKills: number };
  setAside: number;
  /** Lines that differ from those of one process, or are not there. */
  wrong: { byWorkers: number; withKills: number };
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = [join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs'), join(root, 'tools', 'rill.ts')];
const model = join(root, 'weights', 'wake-words');
/** After a kill others have the job within twice this time. */
const LOCK_SECONDS = 5;
const JOB_MINUTES = 0.5;

/** Runs all three. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const folder = await mkdtemp(join(tmpdir(), 'rill-corpus-'));
  const redis = await startRedis();
  try {
    return await new Campaign(options, folder, redis).run();
  } finally {
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Starts `rill corpus …`. */
function rill(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...program, 'corpus', ...args], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Runs it to its end. */
async function rillToEnd(args: readonly string[]): Promise<void> {
  const child = rill(args);
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) {
    throw new Error(`rill corpus ${args.join(' ')} ended with ${status}: ${said}`);
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #folder: string;
  readonly #redis: RedisProcess;
  #kills = 0;

  constructor(options: CampaignOptions, folder: string, redis: RedisProcess) {
    this.#options = options;
    this.#folder = folder;
    this.#redis = redis;
  }

  async run(): Promise<CampaignReport> {
    const { files, onNote } = this.#options;
    await makeCorpus(this.#audio, join(model, 'samples'), files);
    onNote(`${files} files are made`);
    const alone = join(this.#folder, 'alone.jsonl');
    const inOneProcess = await timed(() =>
      rillToEnd(['submit', model, this.#audio, '--out', alone, '--device', 'cpu']),
    );
    onNote(`in one process: ${inOneProcess.toFixed(1)} s`);
    const expected = await linesOf(alone);
    const calm = await this.#byWorkers('calm', 0);
    onNote(`by ${this.#options.workers} workers: ${calm.took.toFixed(1)} s`);
    const killed = await this.#byWorkers('killed', this.#options.kills);
    onNote(`with ${this.#kills} of them killed: ${killed.took.toFixed(1)} s`);
    const wrongOf = (lines: readonly string[]) =>
      expected.filter((line, i) => line !== lines[i]).length + Math.abs(expected.length - lines.length);
    return {
      files: expected.length,
      seconds: calm.seconds,
      took: { inOneProcess, byWorkers: calm.took, withKills: killed.took },
      kills: this.#kills,
      again: { byWorkers: calm.again, withKills: killed.again },
      setAside: killed.setAside,
      wrong: { byWorkers: wrongOf(calm.lines), withKills: wrongOf(killed.lines) },
    };
  }

  get #audio(): string {
    return join(this.#folder, 'audio');
  }

  async #byWorkers(name: string, kills: number) {
    const here = ['--queue', this.#redis.url, '--name', name];
    await rillToEnd(['submit', model, this.#audio, ...here, '--job-minutes', String(JOB_MINUTES)]);
    const work = ['work', ...here, '--device', 'cpu', '--lock-seconds', String(LOCK_SECONDS)];
    const took = await timed(() => this.#supervise(work, kills));
    const output = join(this.#folder, `${name}.jsonl`);
    await rillToEnd(['collect', ...here, '-o', output]);
    const queue = await CorpusQueue.open(this.#redis.url, name);
    const { seconds, again, setAside } = await queue.status().finally(() => queue.close());
    return { took, lines: await linesOf(output), seconds, again, setAside };
  }

  /** Keeps as many workers alive as there shall be, until each has ended by itself. */
  async #supervise(args: readonly string[], kills: number): Promise<void> {
    const alive = new Set<ChildProcess>();
    const worker = async () => {
      for (;;) {
        const child = rill(args);
        alive.add(child);
        const [status] = (await once(child, 'exit')) as [number | null];
        alive.delete(child);
        if (status === 0) {
          return;
        }
        if (status !== null) {
          throw new Error(`a worker ended with ${status}`);
        }
      }
    };
    const all = Promise.all(Array.from({ length: this.#options.workers }, worker));
    const hunt = this.#kill(alive, kills);
    await all.finally(() => {
      alive.forEach((child) => child.kill('SIGKILL'));
    });
    hunt.abort();
  }

  /** Kills one of them now and then. */
  #kill(alive: ReadonlySet<ChildProcess>, kills: number): AbortController {
    const stop = new AbortController();
    const { signal } = stop;
    const hunt = async () => {
      for (let i = 0; i < kills; i++) {
        await sleep(1000 * this.#options.killSeconds * Math.random(), undefined, { signal });
        const children = [...alive];
        if (children[Math.floor(children.length * Math.random())]?.kill('SIGKILL')) {
          this.#kills++;
        }
      }
    };
    // It ends with the workers.
    hunt().catch(() => undefined);
    return stop;
  }
}

async function linesOf(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8')).split('\n').filter(Boolean);
}
