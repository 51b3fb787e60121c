/**
 * Writes `src/wasm/module.generated.ts`: the kernels of `wasm/`, compiled, as base64, so that there is no second file to
 * host. What a tile needs spelt out is written out here, see `wasm/tile.ts`.
 * `tools/generate-thread.ts` calls it, and writes what threads run.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const sources = new URL('../wasm/', import.meta.url);
const target = new URL('../src/wasm/module.generated.ts', import.meta.url);

/** Rows and quads of outputs of each tile, by the file that is written out for it. */
const TILES: Readonly<Record<string, readonly (readonly [rows: number, quads: number])[]>> = {
  'tile.ts': [
    [4, 2],
    [2, 2],
    [1, 2],
    [2, 4],
    [1, 4],
  ],
  'tile-int8.ts': [
    [4, 2],
    [2, 2],
    [1, 2],
    [2, 4],
    [1, 4],
  ],
};

/** What a page has to load, at most. */
const MOST_GZIPPED = 12_000;

/** Plain SIMD, whose results are the same everywhere; no memory of its own, no runtime, nothing imported but memory. */
const OPTIONS = [
  ...['--runtime', 'stub', '--noAssert', '--optimizeLevel', '3', '--shrinkLevel', '0'],
  // A page is 64 KiB. That there is a maximum lets the same module run on shared memory.
  ...['--importMemory', '--noExportMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'simd', '--use', 'abort='],
];

/** A file for each tile, behind one another: imports once, functions for each. */
function writeOut(template: string, tiles: readonly (readonly [rows: number, quads: number])[]): string {
  const lines = template.split('\n');
  const start = lines.indexOf('@inline');
  const functions = tiles.flatMap(([rows, quads]) =>
    lines.slice(start).flatMap((line) => writeOutLine(line, rows, quads)),
  );
  return [...lines.slice(0, start), ...functions].join('\n');
}

const count = (length: number) => Array.from({ length }, (_, i) => i);

/** A line, once for each row, quad or panel that it speaks of. */
function writeOutLine(line: string, rows: number, quads: number): string[] {
  const named = line.replaceAll('ROWS', `${rows}`).replaceAll('OUTPUTS', `${4 * quads}`);
  const perPanel = named.includes('PANEL') && !named.includes('QUAD');
  const ofRow = named.includes('ROW') ? count(rows) : [0];
  const ofQuad = perPanel ? count(quads / 2).map((panel) => 2 * panel) : named.includes('QUAD') ? count(quads) : [0];
  return ofRow.flatMap((row) =>
    ofQuad.map((quad) =>
      named
        .replaceAll('ROW', `${row}`)
        .replaceAll('QUAD', `${quad}`)
        .replaceAll('PANEL', `${quad >> 1}`),
    ),
  );
}

/** Every file of `wasm/`, tiles written out. */
export async function readSources(): Promise<Map<string, string>> {
  const names = (await readdir(sources)).filter((name) => name.endsWith('.ts')).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => {
        const text = await readFile(new URL(name, sources), 'utf8');
        return [name, name in TILES ? writeOut(text, TILES[name]) : text] as const;
      }),
    ),
  );
}

/** The module's bytes. @throws Error with what the compiler says */
export async function compile(files: ReadonlyMap<string, string>): Promise<Uint8Array> {
  // Only here: the compiler takes a second to load, and is not needed while nothing has changed.
  const { main } = await import('assemblyscript/asc');
  const written = new Map<string, string | Uint8Array>();
  const said: string[] = [];
  const { error } = await main(['module.ts', '--outFile', 'module.wasm', ...OPTIONS], {
    readFile: (name) => files.get(name) ?? null,
    writeFile: (name, contents) => {
      written.set(name, contents);
    },
    listFiles: () => [],
    stderr: { write: (text) => said.push(typeof text === 'string' ? text : Buffer.from(text).toString()) },
  });
  const binary = written.get('module.wasm');
  if (error || !(binary instanceof Uint8Array)) {
    throw new Error(`wasm/ does not compile: ${said.join('')}`, { cause: error });
  }
  return binary;
}

/**
 * Where the flags of the imported memory stand: with the bit SHARED the same module takes shared memory, as threads need.
 *
 * @throws Error when the module imports anything else, or is not valid with either
 */
export function findMemoryFlags(binary: Uint8Array<ArrayBuffer>): number {
  const HAS_MAXIMUM = 1;
  const SHARED = 2;
  // (import "env" "memory" (memory ...)), the one import.
  const entry = Buffer.from('\x01\x03env\x06memory\x02', 'latin1');
  const flags = Buffer.from(binary).indexOf(entry) + entry.length;
  const shared = binary.slice();
  shared[flags] |= SHARED;
  if (
    flags < entry.length ||
    binary[flags] !== HAS_MAXIMUM ||
    ![binary, shared].every((each) => WebAssembly.validate(each))
  ) {
    throw new Error('the module of wasm/ should import memory with a maximum, and nothing else');
  }
  return flags;
}

async function generate(files: ReadonlyMap<string, string>): Promise<string> {
  const binary = Uint8Array.from(await compile(files));
  const gzipped = gzipSync(binary).length;
  if (gzipped > MOST_GZIPPED) {
    throw new Error(`the module of wasm/ takes ${gzipped} bytes gzipped, more than ${MOST_GZIPPED}`);
  }
  return [
    `/** ${binary.length} bytes, ${gzipped} gzipped. */`,
    `export const MODULE: string = '${Buffer.from(binary).toString('base64')}';`,
    '/** Where the flags of the imported memory stand; 2 added makes it shared. */',
    `export const MEMORY_FLAGS_AT = ${findMemoryFlags(binary)};`,
    '',
  ].join('\n');
}

/** Writes `module.generated.ts`, unless it was made from the same: others may be reading it, and compiling takes seconds. */
export async function writeWasm(): Promise<void> {
  const files = await readSources();
  const compiler = createRequire(import.meta.url).resolve('assemblyscript/package.json');
  const { version } = JSON.parse(await readFile(compiler, 'utf8')) as { version: string };
  const made = createHash('sha256')
    .update(JSON.stringify([version, OPTIONS, [...files]]))
    .digest('hex');
  const head = `// Made from wasm/ by tools/generate-wasm.ts (npm run generate). Do not edit.\n// ${made}\n`;
  if (!(await readFile(target, 'utf8').catch(() => '')).startsWith(head)) {
    await writeFile(target, head + (await generate(files)));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeWasm();
}
