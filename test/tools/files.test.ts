import { execFileSync } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withFile, writeOutput } from '../../tools/files.ts';

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

it('finds the files that a file names in its folder and below, and no others', async () => {
  const [inside, below] = [join(folder, 'models'), join(folder, 'models', 'weights')];
  await mkdir(below, { recursive: true });
  await writeFile(join(folder, 'secret'), 'secret');
  await writeFile(join(inside, 'model.onnx'), 'model');
  await writeFile(join(inside, 'model.onnx.data'), 'abcdef');
  await writeFile(join(below, 'w'), 'w');
  await withFile(join(inside, 'model.onnx'), async ({ name, beside }) => {
    expect(name).toBe('model.onnx');
    const data = await beside?.('model.onnx.data');
    expect([data?.size, Buffer.from((await data?.read(2, 3)) ?? []).toString()]).toEqual([6, 'cde']);
    expect([...((await data?.read(4, 100)) ?? [])]).toHaveLength(2);
    expect((await beside?.('weights/w'))?.size).toBe(1);
    expect((await beside?.('./weights/../model.onnx.data'))?.size).toBe(6);
    for (const path of ['../secret', join(folder, 'secret'), 'weights/../../secret', 'weights', 'nothing', '', '..']) {
      expect(await beside?.(path), path).toBe(undefined);
    }
  });
});
