/** The entry of the portable folder: `rill bench` at full size with random weights, on the GPU that there is. */
import { helpOf } from '../commands/arguments.ts';
import { bench } from '../commands/bench.ts';
import { note, print } from '../terminal.ts';

const args = process.argv.slice(2);
const names = (options: RegExp) => args.some((arg) => options.test(arg));
// The folder has no browser to fall back to, and no use for figures of a processor that emulates a GPU.
const defaults = [
  ...(names(/^--runtime\b/) ? [] : ['--runtime', 'node']),
  ...(names(/^--adapter\b/) ? [] : ['--adapter', 'gpu']),
  ...(names(/^--(random|full-size)\b/) ? [] : ['--full-size']),
  ...(names(/^--(what|chunks|streams|batches|kernels|methods)\b/)
    ? []
    : ['--what', 'chunks,streams,batches,kernels,methods']),
];
let status = 0;
if (names(/^(--help|-h)$/)) {
  print(`node rill-bench.mjs, with the options of\n${helpOf(bench)}`);
} else {
  try {
    await bench.run([...defaults, ...args]);
  } catch (error) {
    note(`rill-bench: ${error instanceof Error ? error.message : String(error)}`);
    status = 1;
  }
}
process.stdout.write('', () => process.exit(status));
