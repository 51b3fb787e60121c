import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress, bar, printable, withTerminal } from '../../tools/terminal.ts';

it('shows what a terminal would take for commands', () => {
  expect(printable('a \x1b]0;title\x07\x9b2J é 中')).toBe('a \\u001b]0;title\\u0007\\u009b2J é 中');
});

it.each([
  [0, 3, '[--------------------]   0 %'],
  [1, 3, '[######--------------]  33 %'],
  [3, 3, '[####################] 100 %'],
  [4, 3, '[####################] 100 %'],
  [0, 0, '[--------------------]   0 %'],
])('a bar of %d of %d', (done, total, expected) => {
  expect(bar(done, total)).toBe(expected);
});

describe('progress', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** What is written to a stderr that is a terminal, or is none. */
  function shown(isTTY: boolean, use: (progress: Progress) => void): string {
    let text = '';
    const stderr = { write: (more: string) => ((text += more), true), isTTY, columns: 50 };
    withTerminal({ stdin: Readable.from([]), stdout: { write: () => true }, stderr }, () => {
      use(new Progress('a.wav'));
    });
    return text;
  }

  it('is a line that is written anew, no wider than the terminal, and goes away', () => {
    const text = shown(true, (progress) => {
      progress.update(1, 4, '0:01 of 0:04, real-time factor 0.100');
      vi.advanceTimersByTime(200);
      progress.update(2, undefined, '0:02');
      progress.end();
    });
    const lines = text.split('\r\x1b[K');
    expect(lines).toEqual(['', 'a.wav  [#####---------------]  25 %  0:01 of 0:04', 'a.wav  0:02', '']);
  });

  it('is not written more often than a person can read', () => {
    const text = shown(true, (progress) => {
      for (let done = 0; done <= 100; done++) {
        progress.update(done, 100);
        vi.advanceTimersByTime(10);
      }
    });
    expect(text.split('%')).toHaveLength(12);
  });

  it('is nothing where no person looks', () => {
    expect(
      shown(false, (progress) => {
        progress.update(1, 4);
        progress.end();
      }),
    ).toBe('');
  });
});
