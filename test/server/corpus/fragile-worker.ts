/** A worker in a process of its own, which files may take down: `fragile-worker.ts <queue> <name>`. */
import { CorpusQueue } from '../../../src/server/corpus/queue.ts';
import { CorpusWorker } from '../../../src/server/corpus/worker.ts';
import { FakeHearing, fakeLine } from './support.ts';

const [, , url, name] = process.argv;
const queue = await CorpusQueue.open(url, name);
// One job at a time: a file beside one that ends the process again and again would be counted with it.
const options = { hearing: new FakeHearing(), lineOf: fakeLine, lockSeconds: 1, jobs: 1 };
await new CorpusWorker(queue, await queue.describe(), options).run();
await queue.close();
