import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { transcribeHere } from '../../../src/server/corpus/here.ts';
import { ResultsFile } from '../../../src/server/corpus/results-file.ts';
import { FakeHearing, corpusFiles, fakeLine } from './support.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-here-'));
  path = join(folder, 'results.jsonl');
});
afterEach(() => rm(folder, { recursive: true }));

interface Line {
  audio: string;
  error?: string;
}

async function lines(): Promise<Line[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

async function run(names: readonly string[], hearing: FakeHearing, signal?: AbortSignal): Promise<void> {
  const results = await ResultsFile.open(path, 'this');
  await transcribeHere({ files: corpusFiles(names), results, hearing, lineOf: fakeLine, signal });
}

describe('a corpus in one process', () => {
  it('sets a file aside that cannot be read, once all others are done and it was tried again', async () => {
    const hearing = new FakeHearing();
    await run(['unreadable.wav', 'a.wav', 'b.wav'], hearing);
    expect(hearing.begun).toEqual(['unreadable.wav', 'a.wav', 'b.wav', 'unreadable.wav', 'unreadable.wav']);
    expect((await lines()).map(({ audio, error }) => [audio, error])).toEqual([
      ['unreadable.wav', 'no audio'],
      ['a.wav', undefined],
      ['b.wav', undefined],
    ]);
  });

  it('goes on after it was stopped, and does nothing twice', async () => {
    const stop = new AbortController();
    const first = new FakeHearing();
    first.before = ({ index }) => {
      if (index === 2) {
        stop.abort(new Error('stopped'));
      }
    };
    const names = ['a.wav', 'b.wav', 'c.wav', 'd.wav'];
    await expect(run(names, first, stop.signal)).rejects.toThrow('stopped');
    const second = new FakeHearing();
    await run(names, second);
    expect(second.begun).toEqual(['c.wav', 'd.wav']);
    expect((await lines()).map(({ audio }) => audio)).toEqual(names);
  });

  it('does files last and alone that took the process down twice, and sets them aside in the end', async () => {
    const names = ['a.wav', 'fail.wav', 'b.wav'];
    const begun: string[][] = [];
    for (let crash = 0; crash < 5; crash++) {
      const hearing = new FakeHearing();
      await expect(run(names, hearing)).rejects.toThrow('the engine failed');
      begun.push(hearing.begun);
    }
    expect(begun).toEqual([['a.wav', 'fail.wav'], ['fail.wav'], ['b.wav', 'fail.wav'], ['fail.wav'], ['fail.wav']]);
    await run(names, new FakeHearing());
    expect((await lines()).map(({ error }) => error)).toEqual([
      undefined,
      expect.stringMatching(/ended 5 times/),
      undefined,
    ]);
  });
});
