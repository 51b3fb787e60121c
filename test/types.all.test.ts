import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const compilerIn = (folder: string) => join(folder, 'node_modules', 'typescript', 'bin', 'tsc');

/** Programs of users, who may have neither the types of WebGPU nor, in Node, those of the DOM. */
const PAGE = `
import { Microphone, OnlineRecognizer, RecognizerClient, fetchModel, type WorkerStream } from 'rill-asr';
import { checkTake, teachPhrase } from 'rill-asr/training';
const recognizer = await OnlineRecognizer.load('wake-words/', { chunkFrames: 4, device: 'auto' });
using stream = recognizer.createStream();
stream.acceptWaveform({ samples: new Float32Array(160), sampleRate: 16000 });
const text: string = recognizer.getResult(stream).text;
const verbs = { double: (_: unknown, n: number) => 2 * n };
const client = new RecognizerClient<typeof verbs>(new Worker('worker.js'));
const four: number = await client.ask('double', 2);
const other: WorkerStream = await client.createStream({ onUpdate: ({ result }) => console.log(result.words[0]?.word) });
await Microphone.open({ onAudio: (chunk) => other.push(chunk), constraints: { deviceId: 'x' } });
// @ts-expect-error: Microphone constraints are checked where the DOM's types are there.
await Microphone.open({ onAudio: () => undefined, constraints: 5 });
const take = { samples: new Float32Array(160), sampleRate: 16000 };
const isFit: boolean = checkTake(take).problem === undefined;
const model = await fetchModel('wake-words/');
const { 'config.json': config } = await teachPhrase({ model, phrase: 'hey rill', recordings: [take], speech: [take] });
export { config, four, isFit, text };
`;
const SERVER = `
import { readFile } from 'node:fs/promises';
import { OnlineRecognizer, SessionManager, readWav } from 'rill-asr';
import { openModelFolder, openNodeEngine } from 'rill-asr/node';
const device = await openNodeEngine({ threads: 2 });
const recognizer = await OnlineRecognizer.load(await openModelFolder('wake-words'), { device });
for await (const { text } of recognizer.transcribe([readWav(await readFile('talk.wav'))])) console.log(text);
export const sessions = new SessionManager(recognizer);
`;

const STRICT = {
  strict: true,
  noEmit: true,
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(root, 'node_modules', '.types-test-'));
  const installed = join(folder, 'node_modules', 'rill-asr');
  await mkdir(installed, { recursive: true });
  const { name, type, exports } = (await import('../package.json', { with: { type: 'json' } })).default;
  await writeFile(join(installed, 'package.json'), JSON.stringify({ name, type, exports }));
  const declarations = ['--emitDeclarationOnly', '--outDir', join(installed, 'dist')];
  await run(process.execPath, [compilerIn(root), '-p', join(root, 'tsconfig.build.json'), ...declarations]);
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  // The oldest that is promised, beside the project's own.
  await run('npm', ['install', '--prefix', join(folder, 'oldest'), '--no-save', 'typescript@~5.9.3']);
  await writeFile(join(folder, 'page.ts'), PAGE);
  await writeFile(join(folder, 'server.ts'), SERVER);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each(['the oldest TypeScript', 'the latest'])(
  'strict programs compile by %s, without @webgpu/types',
  async (which) => {
    const compiler = compilerIn(which === 'the latest' ? root : join(folder, 'oldest'));
    const page = {
      ...{ target: 'ES2022', module: 'ESNext', moduleResolution: 'bundler', types: [] },
      lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    };
    const server = { target: 'ES2023', module: 'NodeNext', lib: ['ES2023'], types: ['node'] };
    for (const [file, options] of [['page.ts', page] as const, ['server.ts', server] as const]) {
      const config = join(folder, `${file}.json`);
      await writeFile(config, JSON.stringify({ compilerOptions: { ...STRICT, ...options }, files: [file] }));
      const told = await run(process.execPath, [compiler, '-p', config]).catch(({ stdout }: { stdout: string }) => ({
        stdout,
      }));
      expect(told.stdout).toBe('');
    }
  },
);
