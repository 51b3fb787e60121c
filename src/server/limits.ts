import { RillError } from '../errors.ts';
import { Refusal } from './refusal.ts';

/** What a server gives a client at most. */
export interface ServerLimits {
  /** Calls at a time, over all protocols; 100 by default. */
  maxSessions: number;
  /** Bytes of one message; 4 MiB by default, a minute of float32 at 16 kHz. */
  maxMessageBytes: number;
  /** Bytes of a recording that is posted; 512 MiB by default. */
  maxBodyBytes: number;
  /** Seconds of audio in one call; 4 hours by default. */
  maxCallSeconds: number;
  /** Seconds of audio that wait in a call before its client is no longer read; 10 by default. */
  maxBacklogSeconds: number;
  /** A client that sends nothing for so long is closed; 30 seconds by default. */
  idleSeconds: number;
  /** Bytes of results that a client may leave unread; 1 MiB by default. */
  maxUnsentBytes: number;
  /** A client that does not answer a ping for so long is gone; 20 seconds by default. */
  pingSeconds: number;
  /** How long open calls may go on once the server drains; 30 seconds by default. */
  drainSeconds: number;
}

const DEFAULT_LIMITS: Readonly<ServerLimits> = {
  maxSessions: 100,
  maxMessageBytes: 4 << 20,
  maxBodyBytes: 512 << 20,
  maxCallSeconds: 4 * 3600,
  maxBacklogSeconds: 10,
  idleSeconds: 30,
  maxUnsentBytes: 1 << 20,
  pingSeconds: 20,
  drainSeconds: 30,
};

/** Fills in defaults. @throws RillError `bad-argument` for what is no limit. */
export function resolveLimits(limits: Partial<ServerLimits> = {}): Readonly<ServerLimits> {
  const given = Object.entries(limits).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name) || !(typeof value === 'number' && value > 0)) {
      throw new RillError('bad-argument', {
        got: `the limit ${name}: ${String(value)}`,
        expected: `a number above 0 for one of ${Object.keys(DEFAULT_LIMITS).join(', ')}`,
        remedy: 'Leave it out for the default.',
      });
    }
  }
  return { ...DEFAULT_LIMITS, ...Object.fromEntries(given) };
}

/** @throws Refusal `too-long` for a call of more than `max` seconds. */
export function requireLength(seconds: number, max: number): void {
  if (seconds > max) {
    throw new Refusal('too-long', {
      got: `more than ${max} s of audio in one call`,
      expected: `at most ${max} s`,
      remedy: 'Open another call for the rest.',
    });
  }
}
