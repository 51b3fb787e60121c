import { execFileSync } from 'node:child_process';
import { lstat, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeOutput } from '../../tools/files.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('writes into a pipe, and leaves it one', async () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [, content] = await Promise.all([writeOutput(pipe, Uint8Array.of(1, 2, 3)), readFile(pipe)]);
  expect([...content]).toEqual([1, 2, 3]);
  expect((await lstat(pipe)).isFIFO()).toBe(true);
});

it('writes where a link leads', async () => {
  const [file, link] = [join(folder, 'file'), join(folder, 'link')];
  await writeFile(file, 'before');
  await symlink(file, link);
  await writeOutput(link, Uint8Array.of(7));
  expect([...(await readFile(file))]).toEqual([7]);
  expect((await lstat(link)).isSymbolicLink()).toBe(true);
});
