import { describe, expect, it } from 'vitest';
import { packFile, unpackFile } from '../../../src/server/corpus/corpus-file.ts';
import { secondsLeft } from '../../../src/server/corpus/queue.ts';
import { groupFiles, splitJob } from '../../../src/server/corpus/split.ts';
import { corpusFiles } from './support.ts';

const indicesOf = (groups: readonly { index: number }[][]) => groups.map((group) => group.map(({ index }) => index));

describe('jobs of a corpus', () => {
  it('hold neighbours, some minutes of audio, and a longer file alone', () => {
    const files = corpusFiles([20, 20, 20, 90, 20, 20]);
    expect(indicesOf(groupFiles(files, { seconds: 60, files: 9 }))).toEqual([[0, 1, 2], [3], [4, 5]]);
    expect(indicesOf(groupFiles(files, { seconds: 600, files: 4 }))).toEqual([
      [0, 1, 2, 3],
      [4, 5],
    ]);
  });

  it('are cut so that each file that was under way stands alone', () => {
    const files = corpusFiles([1, 1, 1, 1, 1]);
    expect(indicesOf(splitJob(files, [3, 1, 77]))).toEqual([[1], [3], [0, 2, 4]]);
    expect(indicesOf(splitJob(files.slice(0, 2), [0, 1]))).toEqual([[0], [1]]);
  });

  it('are cut into halves where that is not known', () => {
    expect(indicesOf(splitJob(corpusFiles([1, 1, 1]), []))).toEqual([[0, 1], [2]]);
  });

  it('carry whole files in few bytes, and parts of files', () => {
    const whole = { index: 7, audio: 'a.wav', seconds: 1.5, start: undefined, duration: undefined };
    expect(packFile(whole)).toEqual([7, 'a.wav', 1.5]);
    for (const file of [whole, { ...whole, start: 2 }, { ...whole, start: 0, duration: 0.25 }]) {
      const sent = JSON.parse(JSON.stringify(packFile(file))) as ReturnType<typeof packFile>;
      expect(unpackFile(sent)).toEqual(file);
    }
  });
});

describe('the time left', () => {
  it('takes files to last as those that are done have shown', () => {
    expect(secondsLeft({ seconds: 50, expected: 100 }, 300, 10)).toBe(10);
    expect(secondsLeft({ seconds: 0, expected: 0 }, 300, 0)).toBeUndefined();
  });
});
