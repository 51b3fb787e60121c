import type * as Bullmq from 'bullmq';
import type * as Ioredis from 'ioredis';
import { RillError } from '../../errors.ts';
import { reasonOf } from './corpus-file.ts';

/** What a queue is made with. */
export interface QueuePackages {
  bullmq: typeof Bullmq;
  Redis: typeof Ioredis.Redis;
}

/** The packages that a queue needs, loaded when one is opened. @throws RillError `bad-argument` where one is missing. */
export async function loadQueuePackages(): Promise<QueuePackages> {
  try {
    const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')]);
    return { bullmq, Redis: ioredis.Redis };
  } catch (cause) {
    throw new RillError(
      'bad-argument',
      {
        got: `a queue without its packages (${reasonOf(cause).split('\n')[0]})`,
        expected: 'bullmq and ioredis',
        remedy: 'Install both (npm install bullmq ioredis), or leave out the queue and work in one process.',
      },
      { cause },
    );
  }
}
