/** The entry of the portable folder: `rill bench` at full size with random weights, and training, on the GPU that there is. */
import { helpOf, oneOf, randomNetwork, withRuntime } from '../commands/arguments.ts';
import { bench } from '../commands/bench.ts';
import type { RandomSizes } from '../runtime/random-model.ts';
import { note, print } from '../terminal.ts';
import { TRAINED, measureTraining, trainingInputs, trainingJson, trainingReport } from '../training-speed/measure.ts';

/** The bundled model's sizes: what a user fine-tunes and teaches. */
const WAKE_WORDS: RandomSizes = { dModel: 128, rnnHiddenSize: 256, dimFeedforward: 512, numEncoderLayers: 4 };
const command = { program: 'node rill-bench.mjs', usage: '[--train layer,fine-tune,teach]' };

/** Takes an option with its value out of some arguments. */
function taken(args: string[], option: string): string | undefined {
  const at = args.findIndex((arg) => arg === option || arg.startsWith(`${option}=`));
  if (at < 0) {
    return undefined;
  }
  const [first, second] = args.splice(at, args[at] === option ? 2 : 1);
  return first === option ? second : first.slice(option.length + 1);
}

const args = process.argv.slice(2);
const train = taken(args, '--train');
const names = (options: RegExp) => args.some((arg) => options.test(arg));
const valueOf = (option: string) => taken([...args], option);
// The folder has no browser to fall back to, and no use for figures of a processor that emulates a GPU.
const place = { runtime: valueOf('--runtime') ?? 'node', adapter: valueOf('--adapter') ?? 'gpu' };
const hasSections = names(/^--(what|chunks|streams|batches|kernels|methods)\b/);
const defaults = [
  ...(names(/^--runtime\b/) ? [] : ['--runtime', place.runtime]),
  ...(names(/^--adapter\b/) ? [] : ['--adapter', place.adapter]),
  ...(names(/^--(random|full-size)\b/) ? [] : ['--full-size']),
  ...(hasSections ? [] : ['--what', 'chunks,streams,batches,kernels,methods']),
];

async function training(): Promise<void> {
  const wanted = (train ?? TRAINED.join(','))
    .split(',')
    .flatMap((word) => oneOf(command, 'train', word, TRAINED) ?? []);
  const random = randomNetwork(command, { random: valueOf('--random') }) ?? WAKE_WORDS;
  const seconds = Number(valueOf('--seconds') ?? 4);
  await withRuntime(command, place, async (runtime) => {
    const figures = await measureTraining(runtime, trainingInputs(wanted, random, random, seconds));
    const report = names(/^--json$/)
      ? JSON.stringify(trainingJson(runtime, figures))
      : trainingReport(figures, names(/^--markdown$/)).join('\n\n');
    print(report);
  });
}

let status = 0;
if (names(/^(--help|-h)$/)) {
  print(`node rill-bench.mjs [--train ${TRAINED.join(',')}], with the options of\n${helpOf(bench)}`);
} else {
  try {
    // Sections that are named are all that is measured; so is training, where it alone is.
    if (train === undefined || hasSections) {
      await bench.run([...defaults, ...args]);
    }
    if (train !== undefined || !hasSections) {
      await training();
    }
  } catch (error) {
    note(`rill-bench: ${error instanceof Error ? error.message : String(error)}`);
    status = 1;
  }
}
process.stdout.write('', () => process.exit(status));
