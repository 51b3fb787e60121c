import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest } from '../../tools/manifest.ts';
import { readExperiments } from '../../tools/training/experiments.ts';
import { lettersOf } from '../../tools/training/letters.ts';
import { failure } from '../support/failure.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rill-manifest-'));
});
afterAll(() => rm(folder, { recursive: true }));

const at = (name: string) => join(folder, name);
async function written(name: string, data: string | Uint8Array): Promise<string> {
  await writeFile(at(name), data);
  return at(name);
}

describe('a list of recordings with their texts', () => {
  it('is CSV, or a folder with metadata.csv; paths are relative to the list', async () => {
    const csv = await written('list.csv', 'audio,text\none.wav,hello there\n/tmp/two.wav,"yes, please"\n');
    expect(await readManifest(csv)).toEqual([
      { audio: at('one.wav'), text: 'hello there' },
      { audio: '/tmp/two.wav', text: 'yes, please' },
    ]);
    await written('metadata.csv', 'file_name,transcription\r\ndata/one.wav,hello\r\n');
    expect(await readManifest(folder)).toEqual([{ audio: at('data/one.wav'), text: 'hello' }]);
  });

  const cut = (more: object) => ({
    id: 'a',
    start: 1.5,
    duration: 2,
    supervisions: [{ text: 'HELLO' }],
    recording: { sources: [{ type: 'file', source: 'one.wav' }] },
    ...more,
  });
  const lines = (...cuts: unknown[]) => cuts.map((each) => `${JSON.stringify(each)}\n`).join('');

  it("is lhotse's cuts, compressed or not: parts of recordings", async () => {
    await written('one.wav', '');
    const elsewhere = { recording: { sources: [{ source: 'data/two.wav' }] } };
    const text = lines(cut({}), cut({ ...elsewhere, start: undefined, duration: undefined }));
    const expected = [
      { audio: at('one.wav'), text: 'HELLO', start: 1.5, duration: 2 },
      // Nothing of that name beside the list: relative to where rill runs.
      { audio: join(process.cwd(), 'data/two.wav'), text: 'HELLO', start: 0, duration: undefined },
    ];
    expect(await readManifest(await written('cuts.jsonl', text))).toEqual(expected);
    expect(await readManifest(await written('cuts.jsonl.gz', gzipSync(text)))).toEqual(expected);
  });

  it.each<[string, string, string | Uint8Array, string]>([
    ['a line without a text', 'a.csv', 'one.wav,hello\ntwo.wav\n', 'line 2'],
    ['nothing but a heading', 'b.csv', 'audio,text\n', 'without recordings'],
    ['no JSON', 'a.jsonl', lines(cut({})) + '{', 'line 2'],
    ['no object', 'b.jsonl', 'null\n', 'line 1'],
    ['two supervisions', 'c.jsonl', lines(cut({ supervisions: [{ text: 'a' }, { text: 'b' }] })), 'one supervision'],
    ['audio that is in no file', 'd.jsonl', lines(cut({ recording: {} })), 'recording.sources'],
    ['a start that is no number', 'e.jsonl', lines(cut({ start: '1' })), 'line 1'],
    ['what is not compressed', 'f.jsonl.gz', lines(cut({})), 'f.jsonl.gz'],
    ['what is cut off', 'g.jsonl.gz', gzipSync(lines(cut({}))).subarray(0, -12), 'g.jsonl.gz'],
  ])('refuses %s', async (_, name, data, words) => {
    const path = await written(name, data);
    expect(await failure('bad-argument', () => readManifest(path))).toContain(words);
  });

  it('refuses what is not there, and folders without metadata.csv', async () => {
    expect(await failure('bad-argument', () => readManifest(at('none.csv')))).toContain('none.csv');
    expect(await failure('bad-argument', () => readManifest(at('none.jsonl.gz')))).toContain('none.jsonl.gz');
    expect(await failure('bad-argument', () => readManifest(tmpdir()))).toContain('metadata.csv');
  });
});

describe('tokens of texts', () => {
  it('are their letters, in order, with the marks of words and of what is unknown', () => {
    expect(lettersOf([{ text: 'Bad  cab' }, { text: 'bé' }])).toBe('<blk> 0\na 1\nb 2\nc 3\nd 4\né 5\n▁ 6\n<unk> 7\n');
  });
});

describe('a file of experiments', () => {
  const file = (value: unknown) => written('experiments.json', JSON.stringify(value));

  it('names trainings: a size or a model folder each, and options of the trainer', async () => {
    const small = { name: 'small', config: '6x256', learningRate: 0.003, optimizer: 'adam' };
    expect(await readExperiments(await file({ experiments: [small, { name: 'tuned', model: 'my-model' }] }))).toEqual([
      { name: 'small', config: '6x256', options: { learningRate: 0.003, optimizer: 'adam' } },
      { name: 'tuned', model: 'my-model', options: {} },
    ]);
  });

  it.each<[string, unknown, string]>([
    ['none', { experiments: [] }, 'one at least'],
    ['no object', { experiments: ['6x256'] }, 'an object'],
    ['no name', { experiments: [{ config: '6x256' }] }, 'a name'],
    ['a name that is a path', { experiments: [{ name: '../up', config: '6x256' }] }, 'a name'],
    ['names that are folders above', { experiments: [{ name: '..', config: '6x256' }] }, 'a name'],
    ['one name twice', { experiments: ['2x18', '2x20'].map((config) => ({ name: 'a', config })) }, 'once'],
    ['both sources', { experiments: [{ name: 'a', config: '6x256', model: 'b' }] }, 'either config or model'],
    ['an option that is none', { experiments: [{ name: 'a', config: '6x256', learning_rate: 1 }] }, 'learning_rate'],
    ['an option out of range', { experiments: [{ name: 'a', config: '6x256', maxSteps: 0 }] }, 'maxSteps'],
  ])('is refused for %s', async (_, value, words) => {
    const path = await file(value);
    expect(await failure('bad-argument', () => readExperiments(path))).toContain(words);
  });
});
