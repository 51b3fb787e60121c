import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../tools/runtime/browser.ts';
import { fixturePath, wakeWordsFolder } from './support/fixtures.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (path: string) => join(root, 'node_modules', path);
const TSC = bin('typescript/bin/tsc');
const TSX = bin('tsx/dist/cli.mjs');
/** More than this and somebody has packed what does not belong there, such as what an earlier build left behind. */
const LARGEST_PACKAGE = 375_000;

/** A page around examples/wake-word.ts. */
const WAKE_PAGE = `
import { listenForWakeWord } from './wake-word.ts';
const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
await listenForWakeWord({
  worker,
  model: 'wake-words/',
  phrases: ['Alexa', 'Computer'],
  onWake: (phrase) => (document.title = 'woken by ' + phrase.toLowerCase()),
});
`;

/** The code blocks of a document that name a file: ```ts src/main.ts */
async function filesOf(document: string): Promise<Map<string, string>> {
  const text = await readFile(join(root, document), 'utf8');
  return new Map([...text.matchAll(/```\w+ (\S+)\n(.*?)```/gs)].map(([, name, code]) => [name, code]));
}

describe('the packed package', () => {
  // Inside node_modules, so that its dependencies are found without a registry; the package itself is the packed one.
  let folder: string;
  let tarball: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(root, 'node_modules', '.package-test-'));
    await run('npm', ['run', '-s', 'build'], { cwd: root });
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
    tarball = join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '');
    const installed = join(folder, 'node_modules', 'rill-asr');
    await mkdir(installed, { recursive: true });
    await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components', '1']);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is small, and holds no tests, models or shaders twice', async () => {
    expect((await stat(tarball)).size).toBeLessThan(LARGEST_PACKAGE);
    const { stdout } = await run('tar', ['-tzf', tarball]);
    expect(stdout).toContain('package/dist/src/index.d.ts');
    expect(stdout).toContain('package/dist/src/node/index.d.ts');
    expect(stdout).toContain('package/dist/src/waveform/capture.worklet.js');
    expect(stdout).not.toMatch(/test\/|weights\/|\.wgsl|demo\//);
  });

  it('builds, type-checks and runs in an empty Vite project: the guide', async () => {
    const project = join(folder, 'page');
    const files = await filesOf('docs/guide.md');
    expect([...files.keys()]).toEqual(['src/worker.ts', 'index.html', 'src/main.ts']);
    for (const [name, code] of files) {
      await mkdir(dirname(join(project, name)), { recursive: true });
      await writeFile(join(project, name), code);
    }
    await cp(join(root, 'examples', 'wake-word.ts'), join(project, 'src', 'wake-word.ts'));
    await cp(wakeWordsFolder, join(project, 'public', 'wake-words'), { recursive: true });
    await writeFile(join(project, 'wake.html'), '<script type="module" src="src/wake.ts"></script>');
    await writeFile(join(project, 'src', 'wake.ts'), WAKE_PAGE);
    const options = {
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      target: 'ES2022',
      module: 'ESNext',
      moduleResolution: 'bundler',
    };
    const lib = ['ES2022', 'ESNext.Disposable', 'DOM', 'DOM.Iterable'];
    const config = { compilerOptions: { ...options, lib, types: [] }, include: ['src'] };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
    await run(process.execPath, [TSC, '-p', project]).catch(({ stdout }: { stdout: string }) => {
      throw new Error(stdout);
    });
    const input = ['index.html', 'wake.html'].map((name) => join(project, name));
    await build({
      root: project,
      configFile: false,
      logLevel: 'error',
      base: './',
      build: { rollupOptions: { input } },
    });
    const server = await preview({ root: project, configFile: false, preview: { port: 0, host: '127.0.0.1' } });
    const browser = await launchBrowser('chrome', undefined, [
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${wakeWordsFolder}/samples/computer.wav`,
    ]);
    try {
      const page = await browser.newPage();
      await page.goto(server.resolvedUrls?.local[0] ?? '');
      await page.click('#start');
      await page.waitForFunction(() => document.querySelector('p:has(#captions)')?.textContent?.includes('computer'), {
        timeout: 60_000,
      });
      await page.goto(`${server.resolvedUrls?.local[0] ?? ''}wake.html`);
      await page.waitForFunction(() => document.title === 'woken by computer', { timeout: 60_000 });
    } finally {
      await browser.close();
      await server.close();
    }
  });

  it('type-checks and runs in an empty Node project: embeddings, and calls over HTTP', async () => {
    const project = join(folder, 'server');
    await mkdir(project, { recursive: true });
    for (const name of ['calls.ts', 'embeddings.ts']) {
      await cp(join(root, 'examples', name), join(project, name));
    }
    await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
    // The package webgpu brings types of WebGPU that clash with those in TypeScript's own library.
    const clash = { skipLibCheck: true };
    const options = { strict: true, noEmit: true, target: 'ES2023', module: 'NodeNext', types: ['node'], ...clash };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
    await run(process.execPath, [TSC, '-p', project]).catch(({ stdout }: { stdout: string }) => {
      throw new Error(stdout);
    });
    const embeddings = await run(
      process.execPath,
      [TSX, 'embeddings.ts', wakeWordsFolder, `${wakeWordsFolder}/samples/alexa.wav`],
      { cwd: project },
    );
    expect(embeddings.stdout).toContain('h of 512 values, c of 1024');

    const port = 20_000 + (process.pid % 20_000);
    const server = execFile(process.execPath, [TSX, 'calls.ts', wakeWordsFolder, String(port)], { cwd: project });
    try {
      await new Promise<void>((resolve, reject) => {
        server.stdout?.once('data', () => {
          resolve();
        });
        server.once('exit', (status) => {
          reject(new Error(`the server ended with ${status}`));
        });
      });
      const recording = (await readFile(`${wakeWordsFolder}/samples/alexa.wav`)).subarray(44);
      // One hangs up when it has been answered, another before.
      for (const waitForAnswer of [true, false]) {
        const hangUp = new AbortController();
        const body = new ReadableStream({
          start: (controller) => controller.enqueue(waitForAnswer ? recording : recording.subarray(0, 2000)),
        });
        const init = { method: 'POST', body, duplex: 'half', signal: hangUp.signal } as const;
        const call = fetch(`http://127.0.0.1:${port}`, init);
        if (waitForAnswer) {
          await (await call).body?.getReader().read();
        }
        hangUp.abort();
        await call.catch(() => undefined);
      }
      const answers = await Promise.all(
        [1, 2, 3].map(async () => {
          const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: recording });
          return (await response.text()).trim().split('\n');
        }),
      );
      for (const lines of answers) {
        expect(lines).toContain(JSON.stringify({ text: 'alexa', segment: 0, isFinal: true }));
        expect(lines[lines.length - 1]).toBe(JSON.stringify({ closed: 'finished' }));
      }
    } finally {
      server.kill();
    }
  });

  it('has a command line', async () => {
    const rill = join(folder, 'node_modules', 'rill-asr', 'dist', 'tools', 'rill.js');
    const { stdout } = await run(process.execPath, [
      rill,
      'inspect',
      fixturePath('golden/small/checkpoint.pt'),
      '--json',
    ]);
    expect(JSON.parse(stdout)).toHaveProperty('parameters.encoder');
  });

  it('hears on the CPU where there is neither the package webgpu, nor a browser, nor a Vulkan loader to be found', async () => {
    const bare = await mkdtemp(join(tmpdir(), 'rill-bare-'));
    try {
      for (const name of ['fft.js', '@zip.js/zip.js', 'pbf', 'resolve-protobuf-schema', 'protocol-buffers-schema']) {
        await cp(join(root, 'node_modules', name), join(bare, 'node_modules', name), { recursive: true });
      }
      await cp(join(folder, 'node_modules', 'rill-asr'), join(bare, 'node_modules', 'rill-asr'), { recursive: true });
      await writeFile(join(bare, 'package.json'), '{ "type": "module" }');
      await writeFile(
        join(bare, 'hear.js'),
        `import { OnlineRecognizer, readWav } from 'rill-asr';
         import { openModelFolder, openNodeEngine } from 'rill-asr/node';
         import { readFile } from 'node:fs/promises';
         const [folder, path] = process.argv.slice(2);
         const wave = readWav(await readFile(path));
         for (const device of ['cpu', 'auto', await openNodeEngine()]) {
           const recognizer = await OnlineRecognizer.load(await openModelFolder(folder), { device });
           for await (const { text, isFinal } of recognizer.transcribe([wave])) {
             if (isFinal) console.log(recognizer.device.kind, text);
           }
           recognizer.dispose();
         }`,
      );
      const env = { PATH: dirname(process.execPath), HOME: bare, CHROME_PATH: '/nowhere', LD_LIBRARY_PATH: '' };
      const clip = join(wakeWordsFolder, 'samples', 'jarvis.wav');
      const hear = await run(process.execPath, ['hear.js', wakeWordsFolder, clip], { cwd: bare, env });
      expect(hear.stdout).toBe('cpu jarvis\n'.repeat(3));
      const rill = join(bare, 'node_modules', 'rill-asr', 'dist', 'tools', 'rill.js');
      const told = await run(process.execPath, [rill, 'transcribe', wakeWordsFolder, clip], { cwd: bare, env });
      expect(told.stdout).toContain('jarvis');
      expect(told.stderr).toContain('CPU');
    } finally {
      await rm(bare, { recursive: true, force: true });
    }
  });
});
