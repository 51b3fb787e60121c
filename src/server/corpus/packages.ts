import type * as Bullmq from 'bullmq';
import type * as Ioredis from 'ioredis';
import { loadPackage } from '../packages.ts';

/** What a queue is made with. */
export interface QueuePackages {
  bullmq: typeof Bullmq;
  Redis: typeof Ioredis.Redis;
}

/** The packages that a queue needs, loaded when one is opened. @throws RillError `bad-argument` where one is missing. */
export async function loadQueuePackages(): Promise<QueuePackages> {
  const [bullmq, { Redis }] = await loadPackage(() => Promise.all([import('bullmq'), import('ioredis')]), {
    got: 'a queue without its packages',
    expected: 'bullmq and ioredis',
    remedy: 'Install both (npm install bullmq ioredis), or leave out the queue and work in one process.',
  });
  return { bullmq, Redis };
}
