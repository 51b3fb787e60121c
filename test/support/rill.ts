import { Readable } from 'node:stream';
import { expect } from 'vitest';
import { main } from '../../tools/command-line.ts';

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs the command line in this process. */
export async function rill(args: readonly string[], stdin: Iterable<Uint8Array> = []): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const writer = (name: keyof typeof written) => ({ write: (text: string) => ((written[name] += text), true) });
  const terminal = { stdin: Readable.from(stdin), stdout: writer('stdout'), stderr: writer('stderr') };
  const status = await main(args, terminal);
  return { status, ...written };
}

/** Asserts success and returns what the command printed. */
export async function printed(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await rill(args);
  expect(status, stderr).toBe(0);
  return stdout;
}

/** Asserts exit status 2 and one line on stderr, and returns it. */
export async function refused(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await rill(args);
  expect(status, stderr).toBe(2);
  expect(stdout).toBe('');
  const lines = stderr.split('\n').filter((line) => line.startsWith('rill:'));
  expect(lines).toHaveLength(1);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(lines[0]).toMatch(/^rill: got .+; expected .+\. .+/);
  return lines[0];
}
