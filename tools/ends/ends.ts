/** Ways in which a process with work on the GPU ends: none may be a crash. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const WAKE_WORDS = fileURLToPath(new URL('../../weights/wake-words', import.meta.url));

/** How a process has ended. */
export interface Ended {
  status: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
}

/** One way to end, and what is right for it. */
interface Way {
  arguments: (ms: number) => readonly string[];
  /** What is done to the process when it has printed its first line; nothing by default. */
  onLine?: (process: ReturnType<typeof start>, ms: number) => void;
  /** Exit statuses and signals that are no crash. */
  right: readonly (number | NodeJS.Signals)[];
}

/** The moment at which a process is ended is spread over so many milliseconds: over several steps. */
const SPREAD_MS = 100;
const USER_SCRIPT = script('user-script.ts');
const user = (end: string) => (ms: number) => ['--expose-gc', USER_SCRIPT, end, WAKE_WORDS, String(ms)];
const transcribe = () => [script('../rill.ts'), 'transcribe', WAKE_WORDS, `${WAKE_WORDS}/samples/stream.wav`];
const kill = (signal: NodeJS.Signals): Pick<Way, 'onLine' | 'right'> => ({
  onLine: (child, ms) => setTimeout(() => child.kill(signal), ms),
  // Where tsx listens to signals it ends with the status that shells give them.
  right: [signal, signal === 'SIGINT' ? 130 : 143],
});

export const WAYS = {
  'rill transcribe … | head -1': { arguments: transcribe, onLine: (child) => child.stdout.destroy(), right: [0] },
  'rill transcribe …, SIGINT': { arguments: transcribe, ...kill('SIGINT') },
  'rill transcribe …, SIGTERM': { arguments: transcribe, ...kill('SIGTERM') },
  'a script, SIGINT': { arguments: user('waits'), ...kill('SIGINT') },
  'a script, SIGTERM': { arguments: user('waits'), ...kill('SIGTERM') },
  'a script that throws': { arguments: user('throws'), right: [1] },
  'a script that throws while kernels are compiled': { arguments: user('throws-early'), right: [1] },
  'a script with an unhandled rejection': { arguments: user('rejects'), right: [1] },
  'a script that exits': { arguments: user('exits'), right: [0] },
  'a script that disposes of the recognizer and exits': { arguments: user('disposes'), right: [0] },
  'a script that holds nothing': { arguments: user('forgets'), right: [0] },
} as const satisfies Readonly<Record<string, Way>>;

export type WayName = keyof typeof WAYS;

function start(args: readonly string[]) {
  // In one process: the command line of tsx would stand between it and the signals.
  return spawn(process.execPath, ['--import', 'tsx', ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Ends a process in one of the ways. @returns how it ended, and whether that is right */
export async function endOnce(name: WayName): Promise<Ended & { isRight: boolean }> {
  const way: Way = WAYS[name];
  const ms = Math.random() * SPREAD_MS;
  const child = start(way.arguments(ms));
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += String(text)));
  child.stdout.once('data', () => way.onLine?.(child, ms)).resume();
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal, stderr, isRight: way.right.some((each) => each === status || each === signal) };
}
