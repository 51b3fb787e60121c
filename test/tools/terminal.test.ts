import { expect, it } from 'vitest';
import { printable } from '../../tools/terminal.ts';

it('shows what a terminal would take for commands', () => {
  expect(printable('a \x1b]0;title\x07\x9b2J é 中')).toBe('a \\u001b]0;title\\u0007\\u009b2J é 中');
});
