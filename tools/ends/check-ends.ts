/** `npm run check:ends -- 100`: ends a process so many times in each way, and counts what was not right. */
import { note, print, table } from '../terminal.ts';
import { WAYS, endOnce, type WayName } from './ends.ts';

const DEFAULT_RUNS = 10;
const [runs = String(DEFAULT_RUNS), only = ''] = process.argv.slice(2);
const rows: string[][] = [['how it ends', 'runs', 'crashes or wrong']];
for (const name of (Object.keys(WAYS) as WayName[]).filter((each) => each.includes(only))) {
  let wrong = 0;
  for (let run = 0; run < Number(runs); run++) {
    const { status, signal, stderr, isRight } = await endOnce(name);
    if (!isRight) {
      wrong++;
      note(`${name}, run ${run}: status ${status}, signal ${signal}\n${stderr}`);
    }
  }
  rows.push([name, runs, String(wrong)]);
  note(`${name}: ${wrong} of ${runs}`);
}
print(table(rows));
process.exitCode = rows.slice(1).some(([, , wrong]) => wrong !== '0') ? 1 : 0;
