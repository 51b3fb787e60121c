import { amount, count, parse, type Options } from '../commands/arguments.ts';
import { runProgram } from '../program.ts';
import { note, print, table } from '../terminal.ts';
import { runCampaign, type CampaignReport } from './campaign.ts';

const PROGRAM = {
  program: 'npm run bench:corpus --',
  usage: '[--files N] [--workers N] [--kills N] [--kill-seconds S] [--json]',
  summary:
    'a corpus in one process, by workers, and by workers of which some are killed: speed, and that nothing is lost',
};

const OPTIONS = {
  files: { type: 'string', default: '1000' },
  workers: { type: 'string', default: '3' },
  kills: { type: 'string', default: '12' },
  'kill-seconds': { type: 'string', default: '15' },
  json: { type: 'boolean' },
} as const satisfies Options;

function report({ files, seconds, took, kills, again, setAside, wrong }: CampaignReport): string {
  const speed = (spent: number) => `${(seconds / spent).toFixed(1)} times real time`;
  return table([
    ['files, seconds of audio', `${files}, ${seconds.toFixed(0)}`],
    ['in one process', speed(took.inOneProcess)],
    ['by workers', speed(took.byWorkers)],
    ['by workers of which some are killed', speed(took.withKills)],
    ['kills', String(kills)],
    ['files heard twice, counted once', `${again.byWorkers}, with kills ${again.withKills}`],
    ['files set aside', String(setAside)],
    ['lines that differ', `${wrong.byWorkers}, with kills ${wrong.withKills}`],
  ]);
}

await runProgram(PROGRAM, async (args) => {
  const { values } = parse(PROGRAM, args, OPTIONS);
  const result = await runCampaign({
    files: count(PROGRAM, 'files', values.files) ?? 1,
    workers: count(PROGRAM, 'workers', values.workers) ?? 1,
    kills: amount(PROGRAM, 'kills', values.kills) ?? 0,
    killSeconds: amount(PROGRAM, 'kill-seconds', values['kill-seconds']) ?? 0,
    onNote: note,
  });
  print(values.json ? JSON.stringify(result) : report(result));
  if (result.wrong.byWorkers + result.wrong.withKills + result.setAside > 0) {
    throw new Error('lines are missing or differ');
  }
});
