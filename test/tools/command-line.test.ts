import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../tools/command-line.ts';
import { fixturePath, wakeWordsFolder } from '../support/fixtures.ts';
import { printed, refused, rill } from '../support/rill.ts';

/** By their names, as they are called; `corpus` has commands of its own. */
const LISTED = new Map(
  Object.entries(COMMANDS).flatMap(([name, command]) =>
    command.commands
      ? Object.entries(command.commands).map(([inner, each]) => [`${name} ${inner}`, each] as const)
      : [[name, command] as const],
  ),
);

describe('rill', () => {
  it('tells its version, that of the package', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await printed('--version')).toBe(`${version}\n`);
  });

  it('lists its commands', async () => {
    const help = await printed('--help');
    [...LISTED.values()].forEach(({ usage, summary }) => {
      expect(help).toContain(`rill ${usage}\n      ${summary}`);
    });
  });

  it.each([...LISTED])('%s --help has a line for each option, its default, and an example', async (name, command) => {
    const { options = {}, example = '' } = command;
    const words = name.split(' ');
    for (const args of [
      [...words, '--help'],
      [...words, '-h'],
      [...words, 'x', '--help', 'y'],
    ]) {
      const help = await printed(...args);
      expect(help).toContain(`Example:\n  rill ${name} `);
      for (const [option, { help: text, default: initial, otherwise = initial }] of Object.entries(options)) {
        expect(help).toContain(`--${option}`);
        expect(help, option).toContain(text);
        if (otherwise) {
          expect(help, option).toContain(`(default: ${otherwise})`);
        }
      }
    }
    expect(example).toMatch(new RegExp(`^${name} `));
    expect(Object.values(options).every(({ help }) => help)).toBe(true);
  });

  it('takes what stands behind -- for a name', async () => {
    expect(await refused('inspect', '--', '--help')).toContain('got --help, which cannot be read');
  });

  it.each([
    [['spot', '--jsn'], 'got the option --jsn; expected --json. See rill spot --help.'],
    [['transcribe', '--formt', 'srt'], 'got the option --formt; expected --format. See rill transcribe --help.'],
    [['decode', '-x'], 'got the option -x; expected an option of this command. See rill decode --help.'],
    [
      ['encode', '--loudness=3'],
      'got the option --loudness; expected an option of this command. See rill encode --help.',
    ],
    [['spot', '--chunk'], "got Option '--chunk <value>' argument missing; expected"],
    [['spot', '--json=yes'], "got Option '--json' does not take an argument; expected"],
    [['spot'], 'got no model folder; expected rill spot <model dir> <audio…> [options]. See rill spot --help.'],
    [['spot', 'model'], 'got no recording; expected rill spot'],
    [['export', 'model', '-o', 'out'], 'got no --format; expected rill export <model dir>'],
    [['export', 'model', '-o', 'out', '--format', 'ncnn'], 'got --format ncnn (it must be sherpa-onnx)'],
    [
      ['export', 'model', '-o', 'x', '--format', 'sherpa-onnx', '--dtype', 'f16'],
      'got --dtype f16 (it must be f32, int8)',
    ],
    [['export', 'model', '-o', 'x', '--format', 'sherpa-onnx', '--frames', '0'], 'got --frames 0 (it must be a whole'],
    [['export', '--format', 'sherpa-onnx'], 'got 0 model folders and no output folder'],
    [['dance'], 'got the command "dance"; expected convert, inspect'],
    [['constructor'], 'got the command "constructor"'],
    [[], 'got no command'],
    [['transcribe', 'model', 'a.wav', '--format', 'ass'], 'got --format ass (it must be txt, srt, vtt, json)'],
    [['transcribe', 'model', 'a.wav', '--json', '--format', 'srt'], 'got --json and --format srt'],
    [
      ['transcribe', 'model', 'a.wav', 'b.wav', '--format', 'srt'],
      'got 2 recordings for one srt (name a folder with -o)',
    ],
    [['transcribe', 'model', 'a.wav', 'b.wav', '-o', 'c.vtt'], 'got 2 recordings for one vtt'],
    [['transcribe', 'model', 'x/a.wav', 'y/a.mp3', '-o', 'out/'], 'got two recordings that would both be a.txt'],
    [['transcribe', 'model', '-', '-'], 'got stdin (-) more than once'],
    [['transcribe', 'model', 'a.wav', '--raw-rate', '16000'], 'got --raw-rate without stdin (-)'],
    [['transcribe', 'model', '-', '--raw-rate', '7'], 'got --raw-rate 7 (it must be 1000 to 768000)'],
  ] as const)('refuses %j in one line', async (args, line) => {
    expect(await refused(...args)).toContain(`rill: ${line}`);
  });

  it.each(['decode', 'encode'])('%s refuses features that are not finite, by file, frame and bin', async (command) => {
    const path = fixturePath('features/one-nan.npy');
    const output = command === 'encode' ? ['-o', join(tmpdir(), 'never.npy')] : [];
    expect(await refused(command, wakeWordsFolder, path, ...output)).toMatch(
      /got NaN at frame \d+, mel bin \d+ of the features of utterance 0 of .*one-nan\.npy; expected finite numbers\./,
    );
  });
});

it('a process of rill ends with the status, and with what was written', () => {
  const tsx = fileURLToPath(new URL('../../node_modules/tsx/dist/cli.mjs', import.meta.url));
  const script = fileURLToPath(new URL('../../tools/rill.ts', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsx, script, 'dance'], { encoding: 'utf8' });
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^rill: got the command "dance"; expected .*\n$/);
});

describe('recordings of which some cannot be read', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-recordings-'));
    await writeFile(join(folder, 'empty.wav'), '');
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('are each told of in one line, without a GPU where none is left', async () => {
    const paths = [join(folder, 'nowhere.wav'), join(folder, 'empty.wav'), folder];
    const { status, stdout, stderr } = await rill(['transcribe', wakeWordsFolder, ...paths, '--json']);
    expect([status, stdout]).toEqual([2, '']);
    const lines = stderr.trim().split('\n');
    expect(lines).toHaveLength(3);
    lines.forEach((line, i) => expect(line).toMatch(new RegExp(`^rill: got .*${paths[i]}.*; expected .+\\. .+`)));
  });
});

describe('a terminal', () => {
  it('is that of the command that runs, also beside another', async () => {
    const outcomes = await Promise.all(['decode', 'spot'].map((name) => rill([name, '--help'])));
    expect(outcomes.map(({ stdout }) => stdout.split(' ')[1])).toEqual(['decode', 'spot']);
  });
});
