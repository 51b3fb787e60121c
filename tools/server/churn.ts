/**
 * `npm run bench:churn`: calls that come and go for an hour, good ones and bad ones. Each good one must hear what it hears
 * alone, and the server's memory must stay flat.
 */
import { RillError } from '../../src/errors.ts';
import { count, parse, usageError } from '../commands/arguments.ts';
import { runProgram } from '../program.ts';
import { megabytes, note, print, table } from '../terminal.ts';
import { churn, type ChurnSample } from './churn-run.ts';

const command = {
  program: 'npm run bench:churn --',
  summary: 'calls that come and go: what each hears, and the memory of the server',
  usage: '[--minutes 60] [--clients 16] [--threads 1] [--json]',
};
/** What the server may have grown by after the first tenth. */
const MOST_GROWTH = 1.25;
const TABLE_ROWS = 12;

function report(samples: readonly ChurnSample[]): string {
  const stride = Math.max(1, Math.ceil(samples.length / TABLE_ROWS));
  const shown = samples.filter((_, i) => i % stride === 0 || i === samples.length - 1);
  const rows = shown.map(({ minutes, calls, bad, rss, heap }) => [
    ...[minutes.toFixed(1), String(calls), String(bad), megabytes(rss), megabytes(heap)],
  ]);
  return table([['minutes', 'calls', 'bad ones', 'RSS MB', 'heap MB'], ...rows]);
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, {
    minutes: { type: 'string', default: '60' },
    clients: { type: 'string', default: '16' },
    threads: { type: 'string', default: '1' },
    json: { type: 'boolean' },
  });
  const minutes = Number(values.minutes);
  if (positionals.length > 0 || !(minutes > 0)) {
    throw usageError(`${positionals.length} paths, ${values.minutes} minutes`, command);
  }
  const clients = count(command, 'clients', values.clients) ?? 1;
  const threads = count(command, 'threads', values.threads) ?? 1;
  const samples = await churn({ minutes, clients, threads, onSample: ({ calls }) => note(`${calls} calls`) });
  print(values.json ? JSON.stringify(samples) : report(samples));
  const steady = samples.slice(Math.ceil(samples.length / 10));
  const least = Math.min(...steady.map(({ rss }) => rss));
  const last = steady[steady.length - 1];
  if (last.rss > MOST_GROWTH * least) {
    throw new RillError('internal', {
      got: `a server of ${megabytes(last.rss)} MB at the end`,
      expected: `at most ${MOST_GROWTH} times the ${megabytes(least)} MB after the first tenth`,
      remedy: 'Something is not given back: see the table.',
    });
  }
}

await runProgram(command, main);
