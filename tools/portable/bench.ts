/** The entry of the portable folder: `rill bench` at full size with random weights, on whatever GPU there is. */
import { bench } from '../commands/bench.ts';

const args = process.argv.slice(2);
const names = (options: RegExp) => args.some((arg) => options.test(arg));
const defaults = [
  ...(names(/^--random\b/) ? [] : ['--random', '']),
  ...(names(/^--(what|chunks|streams|batches|kernels|methods)\b/)
    ? []
    : ['--what', 'chunks,streams,batches,kernels,methods']),
];
let status = 0;
try {
  await bench.run([...defaults, ...args]);
} catch (error) {
  process.stderr.write(`rill-bench: ${error instanceof Error ? error.message : String(error)}\n`);
  status = 1;
}
process.stdout.write('', () => process.exit(status));
