/**
 * Writes `src/wasm/thread.generated.ts`: the program of a thread, `src/wasm/thread.ts` and what it imports, as one text, so
 * that there is no second file to host, whatever bundler a page uses or does without.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { writeWasm } from './generate-wasm.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const target = path('../src/wasm/thread.generated.ts');

/** The kernels are not in it: they come by message, compiled. */
const MOST_BYTES = 6_000;

/** A script that defines `serveThread`. */
async function bundleThread(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    root: path('..'),
    publicDir: false,
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      lib: { entry: path('../src/wasm/thread.ts'), name: 'serveThread', formats: ['iife'] },
    },
  });
  const [bundle] = [result].flat();
  const [script] = 'output' in bundle ? bundle.output : [];
  if (script?.type !== 'chunk') {
    throw new Error('vite gave no script for the thread');
  }
  return script.code.trim().replace(/;$/, '');
}

/** Writes `thread.generated.ts`, unless it is the same: others may be reading it. */
export async function writeThread(): Promise<void> {
  // Imports are followed before what is not needed of them is left out.
  await writeWasm();
  const script = await bundleThread();
  if (script.length > MOST_BYTES) {
    throw new Error(`the program of a thread takes ${script.length} bytes, more than ${MOST_BYTES}`);
  }
  const text = [
    '// Made from src/wasm/thread.ts by tools/generate-thread.ts (npm run generate). Do not edit.',
    `/** ${script.length} bytes; defines \`serveThread\`. */`,
    `export const THREAD: string = ${JSON.stringify(script)};`,
    '',
  ].join('\n');
  if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    await writeFile(target, text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeThread();
}
