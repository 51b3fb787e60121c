import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ResultsFile } from '../../../src/server/corpus/results-file.ts';
import { failure } from '../../support/failure.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-results-'));
  path = join(folder, 'results.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

const open = (fingerprint = 'this') => ResultsFile.open(path, fingerprint);

describe('a file of results', () => {
  it('has the lines in order of the list, whatever the order that they came in, and nothing stays beside it', async () => {
    const results = await open();
    await Promise.all([3, 0, 2, 1].map((index) => results.add(index, `{"text":"größer ${index}"}`)));
    await results.add(2, '{"text":"heard again"}');
    await results.finish();
    const lines = [0, 1, 2, 3].map((index) => `{"text":"größer ${index}"}\n`);
    expect(await readFile(path, 'utf8')).toBe(lines.join(''));
    expect(await readdir(folder)).toEqual(['results.jsonl']);
    expect(await failure('bad-argument', () => open())).toMatch(/is there already/);
  });

  it('goes on where it was left, without the line that was cut off', async () => {
    const first = await open();
    await first.add(0, '{"text":"one"}');
    await first.add(1, '{"text":"two"}');
    await first.abandon();
    const partial = `${path}.partial`;
    await truncate(partial, (await readFile(partial)).length - 4);
    const second = await open();
    expect([second.count, second.has(0), second.has(1)]).toEqual([1, true, false]);
    await second.add(1, '{"text":"zwei"}');
    await second.abandon();
    await appendFile(partial, '2 {"text":\n3 nothing\n\0\0\0\n');
    const third = await open();
    expect(third.count).toBe(2);
    await third.finish();
    expect(await readFile(path, 'utf8')).toBe('{"text":"one"}\n{"text":"zwei"}\n');
  });

  it('counts how often a file was under way at a crash, and not when it was left in good order', async () => {
    for (let run = 0; run < 2; run++) {
      const results = await open();
      await results.begin(5);
      await results.abandon();
    }
    const results = await open();
    expect([results.crashes(5), results.crashes(6)]).toEqual([2, 0]);
    await results.begin(6);
    await results.close();
    const after = await open();
    expect(after.crashes(6)).toBe(0);
    await after.close();
  });

  it('is of one corpus, and of one process', async () => {
    await (await open()).close();
    expect(await failure('bad-argument', () => open('that'))).toMatch(/another list/);
    const other = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)']);
    await once(other, 'spawn');
    await writeFile(`${path}.partial.lock`, String(other.pid));
    expect(await failure('bad-argument', () => open())).toContain(`process ${other.pid}`);
    other.kill('SIGKILL');
    await once(other, 'exit');
    await (await open()).close();
  });
});
