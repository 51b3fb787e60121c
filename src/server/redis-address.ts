import { RillError } from '../errors.ts';

/** As it may be shown. */
export const withoutPassword = (url: string) => url.replace(/\/\/[^@/]*@/, '//…@');

/** @throws RillError `bad-argument` for what is no address of a Redis. */
export function checkRedisAddress(url: string): void {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
    throw new RillError('bad-argument', {
      got: `the address ${JSON.stringify(withoutPassword(url))}`,
      expected: 'one as redis://host:6379, or rediss:// with TLS',
      remedy: 'Name the Redis that all servers and workers reach.',
    });
  }
}
