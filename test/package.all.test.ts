import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { build, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser } from '../tools/runtime/browser.ts';
import { fixturePath, wakeWordsFolder } from './support/fixtures.ts';
import { installPackage, packPackage, root, run } from './support/install.ts';
import { serveFiles } from './support/static-server.ts';

const bin = (path: string) => join(root, 'node_modules', path);
const TSC = bin('typescript/bin/tsc');
const TSX = bin('tsx/dist/cli.mjs');
const ATTW = bin('@arethetypeswrong/cli/dist/index.js');
/**
 * More than this and somebody has packed what does not belong there, such as what an earlier build left behind. Of it a
 * quarter is the code and its types, a quarter the source maps, which cost so much, a quarter the sources that they name,
 * and the rest `rill.min.js` with its converter, the README's pictures and the documents. Training is a tenth. Speech to teach against comes
 * on top, 2.4 MB packed.
 */
const LARGEST_PACKAGE = 2_500_000 + 2_450_000;
/** What is heard in samples/stream.wav. */
const HEARD = 'computer view glass alexa snowboy jarvis smart mirror';

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

/** Waits until a page shows what is heard in the recording. */
async function expectHeard(url: string): Promise<void> {
  const browser = await launchBrowser('chrome');
  try {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction((text) => document.body.innerText.includes(text), { timeout: 60_000 }, HEARD);
  } finally {
    await browser.close();
  }
}

/** @throws the compiler's words */
const compile = (project: string) =>
  run(process.execPath, [TSC, '-p', project]).catch(({ stdout }: { stdout: string }) => {
    throw new Error(stdout);
  });

describe('the packed package', () => {
  /** Where the packed file was installed. */
  let user: string;
  let said: string;
  /** Inside node_modules, so that compilers and types are found; the package itself is the packed one. */
  let folder: string;
  let tarball: string;
  /** The paths in the package. */
  let packed: Set<string>;

  beforeAll(async () => {
    folder = await mkdtemp(join(root, 'node_modules', '.package-test-'));
    await run('npm', ['run', '-s', 'prepack'], { cwd: root });
    tarball = await packPackage(folder);
    ({ folder: user, said } = await installPackage(tarball));
    await cp(installed(), join(folder, 'node_modules', 'rill-asr'), { recursive: true });
    const entries = await readdir(installed(), { recursive: true, withFileTypes: true });
    packed = new Set(entries.map((entry) => relative(installed(), join(entry.parentPath, entry.name))));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(user, { recursive: true, force: true });
  });

  const installed = (...path: string[]) => join(user, 'node_modules', 'rill-asr', ...path);
  const packedText = (path: string) => readFile(installed(path), 'utf8');

  it('is small, and holds no tests, models or shaders twice', async () => {
    expect((await stat(tarball)).size).toBeLessThan(LARGEST_PACKAGE);
    for (const entry of ['src', 'src/node', 'src/server', 'src/training'].map((room) => `${room}/index.d.ts`)) {
      expect(packed).toContain(`dist/${entry}`);
    }
    expect(packed).toContain('dist/src/waveform/capture.worklet.js');
    expect(packed).toContain('dist/rill.min.js');
    expect([...packed].filter((path) => /^test|\.safetensors$|\.wgsl$|^dist\/demo/.test(path))).toEqual([]);
  });

  it('makes npm warn of nothing', () => {
    expect(said).toContain('added');
    expect(said).not.toMatch(/warn/i);
  });

  it('has entries and types as package.json says', async () => {
    const { messages, pkg } = await publint({ pkgDir: installed(), pack: false, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
    await run(process.execPath, [ATTW, tarball, '--profile', 'esm-only']).catch(({ stdout }: { stdout: string }) => {
      throw new Error(stdout);
    });
  });

  it('has all that its documents link to, and all sources of its source maps', async () => {
    const missing: string[] = [];
    const require = (from: string, link: string) => {
      const path = resolve('/', dirname(from), decodeURI(link)).slice(1);
      if (!packed.has(path)) {
        missing.push(`${from}: ${link}`);
      }
    };
    const documents = [...packed].filter((path) => path.endsWith('.md'));
    expect(documents).toContain('README.md');
    for (const document of documents) {
      for (const [, link] of (await packedText(document)).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
        if (!/^https?:/.test(link)) {
          require(document, link);
        }
      }
    }
    for (const map of [...packed].filter((path) => path.endsWith('.js.map'))) {
      const { sources } = JSON.parse(await packedText(map)) as { sources: string[] };
      const own = sources.filter((source) => !/^(\.\.\/)+(@zip\.js|fft\.js|pbf)\//.test(source));
      own.filter((source) => !source.includes('\0')).forEach((source) => require(map, source));
    }
    const scripts = [...packed].filter((path) => /^dist\/.*\.js$/.test(path) && !path.endsWith('.worklet.js'));
    expect(scripts.filter((script) => !packed.has(`${script}.map`))).toEqual([]);
    expect(missing).toEqual([]);
  });

  it('hears the bundled recording in an empty folder: Node', async () => {
    await cp(installed('examples', 'hear.mjs'), join(user, 'hear.mjs'));
    const recording = join(wakeWordsFolder, 'samples', 'stream.wav');
    const { stdout } = await run(process.execPath, ['hear.mjs', wakeWordsFolder, recording], { cwd: user });
    expect(stdout.trim().split(/\s+/).join(' ')).toBe(HEARD);
  });

  it('hears the bundled recording in an empty folder: a page without a bundler', async () => {
    await cp(installed('examples', 'page.html'), join(user, 'page.html'));
    await cp(wakeWordsFolder, join(user, 'wake-words'), { recursive: true });
    const server = await serveFiles((path) => pathToFileURL(join(user, path)));
    try {
      await expectHeard(`${server.url}page.html`);
    } finally {
      server.close();
    }
  });

  it('hears the bundled recording in an empty folder: a page that Vite builds, without the converter', async () => {
    const project = join(user, 'vite-page');
    await cp(installed('examples', 'vite-page'), project, { recursive: true });
    await cp(wakeWordsFolder, join(project, 'public', 'wake-words'), { recursive: true });
    await symlink(bin('vite'), join(user, 'node_modules', 'vite'));
    await build({ root: project, logLevel: 'error' });
    const chunks = await readdir(join(project, 'dist', 'assets'));
    expect(chunks.some((name) => name.startsWith('converter'))).toBe(true);
    const server = await serveFiles((path) => pathToFileURL(join(project, 'dist', path)));
    try {
      await expectHeard(`${server.url}index.html`);
      expect(server.requests.filter((request) => request.includes('converter'))).toEqual([]);
    } finally {
      server.close();
    }
  });

  it('installs from git, and makes npm warn of nothing', async () => {
    const repository = await mkdtemp(join(tmpdir(), 'rill-repository-'));
    const left = ['.git', 'dist', 'node_modules'].map((name) => join(root, name));
    await cp(root, repository, { recursive: true, filter: (path) => !left.includes(path) });
    const git = (...args: string[]) =>
      run('git', ['-c', 'user.name=Rill', '-c', 'user.email=rill@localhost', ...args], { cwd: repository });
    await git('init', '--quiet');
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Rill');
    const fromGit = await installPackage(`git+file://${repository}`);
    try {
      expect(fromGit.said).not.toMatch(/warn/i);
      const paths = await readdir(join(fromGit.folder, 'node_modules', 'rill-asr'), { recursive: true });
      expect(paths.sort()).toEqual([...packed].sort());
    } finally {
      await rm(fromGit.folder, { recursive: true });
      await rm(repository, { recursive: true });
    }
  });

  it('builds, type-checks and runs in an empty Vite project: the guide', async () => {
    const project = join(folder, 'page');
    const files = await filesOf('docs/guide.md');
    expect([...files.keys()]).toEqual(['vite.config.ts', 'src/worker.ts', 'index.html', 'src/main.ts']);
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
    await compile(project);
    const input = ['index.html', 'wake.html'].map((name) => join(project, name));
    await build({ root: project, logLevel: 'error', base: './', build: { rolldownOptions: { input } } });
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

  it('type-checks and runs in an empty Node project: embeddings, and a server', async () => {
    const project = join(folder, 'server');
    await mkdir(project, { recursive: true });
    await cp(join(root, 'examples', 'embeddings.ts'), join(project, 'embeddings.ts'));
    const [, code] =
      /```ts\n(import \{ RillServer.*?)```/s.exec(await readFile(join(root, 'docs/server.md'), 'utf8')) ?? [];
    await writeFile(
      join(project, 'serve.ts'),
      code.replace('6006', '0').replace('2700', '0').replace('weights/wake-words', wakeWordsFolder),
    );
    await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }));
    // The package webgpu brings types of WebGPU that clash with those in TypeScript's own library.
    const clash = { skipLibCheck: true };
    const options = { strict: true, noEmit: true, target: 'ES2023', module: 'NodeNext', types: ['node'], ...clash };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
    await compile(project);
    const embeddings = await run(
      process.execPath,
      [TSX, 'embeddings.ts', wakeWordsFolder, `${wakeWordsFolder}/samples/alexa.wav`],
      { cwd: project },
    );
    expect(embeddings.stdout).toContain('h of 512 values, c of 1024');

    const server = execFile(process.execPath, ['--import', 'tsx', 'serve.ts'], { cwd: project });
    try {
      const port = await new Promise<number>((resolve, reject) => {
        server.stdout?.once('data', (line: string) => {
          resolve((JSON.parse(line.split('\n')[0]) as { port: number }).port);
        });
        server.once('exit', (status) => {
          reject(new Error(`the server ended with ${status}`));
        });
      });
      const recording = await readFile(`${wakeWordsFolder}/samples/alexa.wav`);
      const answer = await fetch(`http://127.0.0.1:${port}/transcribe?format=txt&token=my-token`, {
        method: 'POST',
        body: recording,
      });
      expect(await answer.text()).toBe('alexa\n');
    } finally {
      server.kill();
    }
  });

  it('says what to install where a server’s packages are missing', async () => {
    const rill = installed('dist', 'tools', 'rill.js');
    const failed = await run(process.execPath, [rill, 'serve', wakeWordsFolder, '--vosk-port', 'none']).catch(
      ({ stderr }: { stderr: string }) => stderr,
    );
    expect(failed).toContain('npm install ws prom-client pino');
  });

  it('has a command line', async () => {
    const rill = installed('dist', 'tools', 'rill.js');
    const { stdout } = await run(process.execPath, [
      rill,
      'inspect',
      fixturePath('golden/small/checkpoint.pt'),
      '--json',
    ]);
    expect(JSON.parse(stdout)).toHaveProperty('parameters.encoder');
  });

  it('hears on the CPU where there is neither the package webgpu, nor a browser, nor a Vulkan loader to be found', async () => {
    await writeFile(
      join(user, 'hear-bare.js'),
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
    const env = { PATH: dirname(process.execPath), HOME: user, CHROME_PATH: '/nowhere', LD_LIBRARY_PATH: '' };
    const clip = join(wakeWordsFolder, 'samples', 'jarvis.wav');
    const hear = await run(process.execPath, ['hear-bare.js', wakeWordsFolder, clip], { cwd: user, env });
    expect(hear.stdout).toBe('cpu jarvis\n'.repeat(3));
    const rill = installed('dist', 'tools', 'rill.js');
    const told = await run(process.execPath, [rill, 'transcribe', wakeWordsFolder, clip], { cwd: user, env });
    expect(told.stdout).toContain('jarvis');
    expect(told.stderr).toContain('CPU');
  });
});
