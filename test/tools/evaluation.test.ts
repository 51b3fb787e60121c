import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FBANK_DEFAULTS } from '../../src/features/fbank.ts';
import { openModel } from '../../src/model/model.ts';
import { keywordPhrases, readUtterances, score, type Heard } from '../../tools/evaluation.ts';
import { failure } from '../support/failure.ts';
import { wakeWordsFolder, wakeWordsModel } from '../support/fixtures.ts';

const heard = (text: string, heard: string): Heard => {
  return { audio: '', text, heard, seconds: 3600, features: new Float32Array(0), frames: 0 };
};

describe('score', () => {
  it('has no rate of what was not said', () => {
    expect(score([heard('', 'one two')], ['alexa'])).toMatchObject({
      insertions: 2,
      exact: 0,
      wordErrorRate: null,
      keywordAccuracy: null,
    });
  });

  it('takes spaces and cases for no errors', () => {
    expect(score([heard('Hello  world', 'hello world')], [])).toMatchObject({ wordErrorRate: 0, exact: 1 });
  });

  it('counts a keyword once, however many spellings it has', async () => {
    const model = openModel({
      ...(await wakeWordsModel()),
      'keywords.txt': 'a l e x a ▁ @alexa\na l e k s a ▁ @Alexa\nj a r v i s ▁ @jarvis\n',
    });
    const phrases = keywordPhrases(model);
    expect(phrases).toHaveLength(2);
    expect(score([heard('', 'alexa')], phrases).falseAlarms).toBe(1);
  });
});

describe('a list of recordings', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-list-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const read = async (lines: string) => {
    const path = join(folder, 'list.csv');
    await writeFile(path, lines);
    return readUtterances(path, FBANK_DEFAULTS);
  };
  const clip = `${wakeWordsFolder}/samples/alexa.wav`;

  it('is CSV, with or without a heading', async () => {
    const texts = await read(
      `\uFEFF\r\n"audio","text"\r\n${clip},alexa\r\n"${clip}","say ""alexa"", please"\r\n${clip}, a, b\r\n${clip},\r\n`,
    );
    expect(texts.map(({ text }) => text)).toEqual(['alexa', 'say "alexa", please', 'a, b', '']);
    expect(new Set(texts.map(({ audio }) => audio))).toEqual(new Set([clip]));
  });

  it('names the line or the file that is wrong', async () => {
    expect(await failure('bad-argument', () => read('\nalexa.wav\n'))).toContain('line 2');
    await writeFile(join(folder, 'empty.wav'), '');
    expect(await failure('bad-audio', () => read(`${clip},alexa\nempty.wav,alexa\n`))).toContain(
      join(folder, 'empty.wav'),
    );
  });
});
