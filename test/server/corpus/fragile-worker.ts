/** A worker in a process of its own, which files may take down: `fragile-worker.ts <queue> <name>`. */
import { CorpusQueue } from '../../../src/server/corpus/queue.ts';
import { CorpusWorker } from '../../../src/server/corpus/worker.ts';
import { FakeHearing, fakeLine } from './support.ts';

const [, , url, name] = process.argv;
const queue = await CorpusQueue.open(url, name);
const options = { hearing: new FakeHearing(), lineOf: fakeLine, lockSeconds: 1 };
await new CorpusWorker(queue, await queue.describe(), options).run();
await queue.close();
