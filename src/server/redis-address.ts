import { RillError } from '../errors.ts';

/** @throws RillError `bad-argument` for what is no address of a Redis. */
export function checkRedisAddress(url: string): void {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RillError('bad-argument', {
      got: `the address ${JSON.stringify(url.replace(/\/\/[^@]*@/, '//…@'))}`,
      expected: 'one as redis://host:6379, or rediss:// with TLS',
      remedy: 'Name the Redis that all servers and workers reach.',
    });
  }
}
