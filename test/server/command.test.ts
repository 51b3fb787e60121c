import { expect, it } from 'vitest';
import { wakeWordsFolder } from '../support/fixtures.ts';
import { refused } from '../support/rill.ts';

it.each([
  [[], 'no model folder'],
  [[wakeWordsFolder, 'other'], '2 model folders'],
  [[wakeWordsFolder, '--port', '65536'], '--port 65536'],
  [[wakeWordsFolder, '--vosk-port', 'some'], '--vosk-port some'],
  [[wakeWordsFolder, '--max-sessions', '0'], '--max-sessions 0'],
  [[wakeWordsFolder, '--device', 'tpu'], '--device tpu'],
  [[wakeWordsFolder, '--save-seconds', '0'], '--save-seconds 0'],
  [[wakeWordsFolder, '--keep-seconds', '10'], '--keep-seconds 10'],
  [[wakeWordsFolder, '--keep-seconds', '120', '--save-seconds', '60'], 'at least 180'],
  [[wakeWordsFolder, '--redis', 'http://user:secret@localhost'], '"http://…@localhost"'],
  [[wakeWordsFolder, '--rule2-min-trailing-silence', 'soon'], '--rule2-min-trailing-silence soon'],
  [[wakeWordsFolder, '--token-file', 'nowhere.txt'], 'nowhere.txt'],
  [['nowhere', '--vosk-port', 'none'], 'nowhere'],
])('rill serve %j is refused before anything is opened', async (args, words) => {
  expect(await refused('serve', ...args)).toContain(words);
});
