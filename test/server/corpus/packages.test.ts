import { expect, it, vi } from 'vitest';
import { CorpusQueue } from '../../../src/server/corpus/queue.ts';
import { failure } from '../../support/failure.ts';

it('a queue without its packages says what to install', async () => {
  vi.doMock('bullmq', () => {
    throw new Error('Cannot find package');
  });
  const message = await failure('bad-argument', () => CorpusQueue.open('redis://127.0.0.1:1', 'corpus'));
  expect(message).toContain('npm install bullmq ioredis');
  vi.doUnmock('bullmq');
});
