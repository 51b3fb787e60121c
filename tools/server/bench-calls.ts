/** `npm run bench:calls`: kills one of two servers in the middle of many calls, over and over; no call may lose a word. */
import { count, parse } from '../commands/arguments.ts';
import { runProgram } from '../program.ts';
import { note, print } from '../terminal.ts';
import { KillTest, type RoundReport } from './kill-servers.ts';
import { startRedis } from './redis-process.ts';

const command = {
  program: 'npm run bench:calls --',
  summary: 'kill -9 for one of two servers in the middle of its calls: every transcript is that of an unbroken call',
  usage: '[--rounds 100] [--calls 20] [--seconds of each, 8] [--speed 2] [--save-seconds 2] [--seed 1]',
};

async function main(args: string[]): Promise<void> {
  const { values } = parse(command, args, {
    rounds: { type: 'string', default: '100' },
    calls: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '8' },
    speed: { type: 'string', default: '2' },
    'save-seconds': { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
  });
  const number = (name: keyof typeof values) => count(command, name, values[name]) ?? 1;
  const roundCount = number('rounds');
  const redis = await startRedis();
  const test = await KillTest.start({
    redis: redis.url,
    calls: number('calls'),
    seconds: number('seconds'),
    speed: number('speed'),
    saveSeconds: number('save-seconds'),
    seed: number('seed'),
  });
  const rounds: RoundReport[] = [];
  try {
    for (let round = 1; round <= roundCount; round++) {
      const report = await test.round();
      rounds.push(report);
      note(`round ${round}: ${JSON.stringify(report)}`);
    }
  } finally {
    await test.stop();
    await redis.stop();
  }
  const sum = (name: keyof RoundReport) => rounds.reduce((total, round) => total + round[name], 0);
  print(
    `${rounds.length} rounds, ${sum('calls')} calls, ${sum('moved')} of them moved to another server: ` +
      `${sum('wrong')} wrong, ${sum('repeated')} results told twice, ${sum('sentAgainSeconds').toFixed(1)} s of audio sent again`,
  );
  if (sum('wrong') + sum('repeated') > 0) {
    throw new Error('calls were lost');
  }
}

await runProgram(command, main);
