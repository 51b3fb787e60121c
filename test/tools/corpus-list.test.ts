import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listCorpus } from '../../tools/corpus/list.ts';
import { wavFile } from '../../tools/wav.ts';
import { failure } from '../support/failure.ts';
import { refused } from '../support/rill.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-corpus-list-'));
  await mkdir(join(folder, 'calls', 'monday'), { recursive: true });
  const wav = wavFile({ samples: new Float32Array(16000), sampleRate: 8000 });
  await writeFile(join(folder, 'calls', 'b.wav'), wav);
  await writeFile(join(folder, 'calls', 'monday', 'a.mp3'), new Uint8Array(32_000));
  await writeFile(join(folder, 'calls', 'notes.txt'), 'not this');
  await writeFile(join(folder, 'list.csv'), 'calls/b.wav,hello\ncalls/missing.wav,\n');
  await writeFile(join(folder, 'cuts.jsonl'), `${JSON.stringify(cut)}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

const cut = {
  ...{ start: 1, duration: 0.5, supervisions: [{ text: 'hello' }] },
  recording: { sources: [{ source: 'calls/b.wav' }] },
};
const list = (path: string, root?: string) => listCorpus(join(folder, path), root, () => undefined);

describe('the files of a corpus', () => {
  it('are all recordings of a folder and below, in order, as long as their headers or sizes say', async () => {
    const files = await list('calls', folder);
    expect(files.map(({ index, audio }) => [index, audio])).toEqual([
      [0, join('calls', 'b.wav')],
      [1, join('calls', 'monday', 'a.mp3')],
    ]);
    expect(files.map(({ seconds }) => Math.round(10 * seconds) / 10)).toEqual([2, 2]);
  });

  it('are those of a list, also one that is not there, and parts of files', async () => {
    const [first, missing] = await list('list.csv');
    expect([first.audio, missing.audio]).toEqual(['b.wav', 'missing.wav'].map((name) => join(folder, 'calls', name)));
    expect(missing.seconds).toBe(0);
    expect(await list('cuts.jsonl', folder)).toMatchObject([{ start: 1, duration: 0.5, seconds: 0.5 }]);
  });

  it('lie below the root, where there is one', async () => {
    expect(await failure('bad-argument', () => list('list.csv', join(folder, 'calls', 'monday')))).toMatch(/outside/);
    await mkdir(join(folder, 'empty'), { recursive: true });
    expect(await failure('bad-argument', () => list('empty'))).toMatch(/without recordings/);
  });
});

describe('rill corpus', () => {
  it('says what is wrong with its arguments', async () => {
    expect(await refused('corpus')).toContain('submit, work, status, collect');
    expect(await refused('corpus', 'submit', 'model', folder)).toContain('--queue URL | --out FILE');
    expect(await refused('corpus', 'work', '--queue', 'localhost')).toContain('redis://host:6379');
    expect(await refused('corpus', 'status', '--queue', 'redis://localhost', '--name', 'a:b')).toContain('the name');
    expect(await refused('corpus', 'collect', '--queue', 'redis://localhost', '--follow')).toContain('without -o');
  });
});
