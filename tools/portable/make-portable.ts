/**
 * `npm run bench:portable -- <folder>`: a folder to carry to a GPU machine without a network. It has the benchmark in
 * one file, Node's WebGPU, and the same network in PyTorch.
 */
import { cp, mkdir, readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { parse, usageError } from '../commands/arguments.ts';
import { writeFolder } from '../files.ts';
import { note, print } from '../terminal.ts';

const command = { program: 'npm run bench:portable --', usage: '<folder> [--all-platforms]' };
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const ROOT = here('../..');

/** The benchmark and all of Rill in one file; the folder's own `node_modules` has the rest. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: ROOT,
    ssr: { noExternal: true, external: ['webgpu', 'puppeteer', 'vite'] },
    build: {
      ssr: here('bench.ts'),
      write: false,
      target: 'node20',
      minify: false,
      rollupOptions: { output: { format: 'es', codeSplitting: false } },
    },
  });
  const [only] = [result].flat();
  const chunk = 'output' in only ? only.output.find((output) => output.type === 'chunk') : undefined;
  if (!chunk || chunk.type !== 'chunk') {
    throw new Error('vite gave no script');
  }
  return chunk.code;
}

/** The package `webgpu`, with Dawn for this platform or for all. */
async function copyWebGpu(folder: string, allPlatforms: boolean): Promise<void> {
  const from = dirname(createRequire(import.meta.url).resolve('webgpu/package.json'));
  const to = join(folder, 'node_modules', 'webgpu');
  const architecture = process.platform === 'darwin' ? 'universal' : process.arch;
  const platforms = allPlatforms ? await readdir(join(from, 'dist')) : [`${process.platform}-${architecture}`];
  await mkdir(join(to, 'dist'), { recursive: true });
  for (const file of ['package.json', 'index.js', 'LICENSE.md', ...platforms.map((name) => `dist/${name}`)]) {
    await cp(join(from, file), join(to, file), { recursive: true });
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args, { 'all-platforms': { type: 'boolean', default: false } });
  const [folder, ...others] = positionals;
  if (!folder || others.length > 0) {
    throw usageError(`${positionals.length} folders`, command);
  }
  await writeFolder(folder, {
    'rill-bench.mjs': await bundle(),
    'pytorch_bench.py': await readFile(here('pytorch_bench.py')),
    'README.md': await readFile(here('README.md')),
    LICENSE: await readFile(join(ROOT, 'LICENSE')),
  });
  await copyWebGpu(folder, values['all-platforms']);
  print(`${folder}: node rill-bench.mjs; python3 pytorch_bench.py`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  note(`bench:portable: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
