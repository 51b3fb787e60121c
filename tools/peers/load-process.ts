/**
 * A process of its own that loads one contender, for `bench:peers --runtime node`: prints the time and the memory.
 * Arguments: who, and a model folder, or the JSON of the sizes of a network to make up.
 */
import { openModel } from '../../src/model/model.ts';
import { readModelFiles } from '../files.ts';
import { randomModel, type RandomSizes } from '../runtime/random-model.ts';
import { print } from '../terminal.ts';
import { IN_NODE } from './lineup.ts';
import { measureLoad, type Loaded } from './load.ts';
import { nodeCreators } from './node-contenders.ts';

export interface LoadedProcess extends Loaded {
  /** Bytes that the process has grown by, from a model in memory to a contender that runs. */
  rss: number;
}

/** Steps before memory is looked at. */
const STEPS = 20;

const [wanted, source] = process.argv.slice(2);
const word = IN_NODE.find((each) => each === wanted);
if (!word || !global.gc) {
  throw new Error('started by bench:peers alone: load-process.ts WHO MODEL, with --expose-gc');
}
const collect = global.gc;
const files = source.startsWith('{') ? undefined : await readModelFiles(source);
const readModel = () => (files ? openModel(files) : randomModel(JSON.parse(source) as RandomSizes));
const create = nodeCreators()[word];
const memoryNow = () => {
  collect();
  return process.memoryUsage().rss;
};
let rss = 0;
const loaded = await measureLoad(readModel, create, word === 'ort-node', {
  before: () => {
    rss = -memoryNow();
  },
  after: async (contender, next) => {
    for (let i = 0; i < STEPS; i++) {
      await contender.step(next());
    }
    rss += memoryNow();
  },
});
print(JSON.stringify({ ...loaded, rss } satisfies LoadedProcess));
process.exit();
