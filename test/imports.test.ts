import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

/** The rooms of src/ in the order that data walks through them; each may import those before it. */
const ROOMS = [
  'dom-types.ts',
  'errors.ts',
  'snapshot',
  'waveform',
  'features',
  'model',
  'checkpoint',
  'encoder',
  'decoder',
  'text',
  'webgpu',
  'wasm',
  'auto-engine.ts',
  'gpu-of.ts',
  'engine.ts',
  'training',
  'recognizer',
  'worker',
  'index.ts',
  'one-file.ts',
  // Node's alone: no room of pages may import them.
  'node',
  'server',
];
/** Packages that the library may use, and the room that does. */
const PACKAGES: Readonly<Record<string, string>> = {
  'fft.js': 'features',
  '@zip.js/zip.js': 'checkpoint',
  pbf: 'checkpoint',
  webgpu: 'node',
  bullmq: 'server',
  ioredis: 'server',
  pino: 'server',
  'prom-client': 'server',
  ws: 'server',
};
/** Rooms that may use Node's own modules. */
const NODE_ROOMS = ['node', 'server'];

/** The rooms of the engines, and who may know them: all else names the interfaces of `encoder` only. */
const ENGINES = ['webgpu', 'wasm'];
const KNOW_ENGINES = [...ENGINES, 'auto-engine.ts', 'gpu-of.ts', 'engine.ts', 'training', 'index.ts', 'node'];

/** What the demo page is made of beside its own files. */
const DEMO_PACKAGES = ['rill-asr', 'rill-asr/training', '@zip.js/zip.js'];

const root = new URL('../', import.meta.url);

async function imports(folder: string) {
  const files = (await readdir(new URL(folder, root), { recursive: true })).filter((file) => /\.(ts|mjs)$/.test(file));
  const found = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(new URL(`${folder}/${file}`, root), 'utf8');
      const code = text.replace(/^ *\*.*$/gm, '');
      const targets = [...code.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(([, target]) => target);
      return targets.map((target) => ({ file, target }));
    }),
  );
  return found.flat();
}

const roomOf = (path: string) => ROOMS.findIndex((room) => path === room || path.startsWith(`${room}/`));

describe('imports', () => {
  it('go one way through the rooms of src/', async () => {
    const found = await imports('src');
    expect(found.length).toBeGreaterThan(30);
    for (const { file, target } of found.filter(({ target: path }) => path.startsWith('.'))) {
      const path = new URL(target, `file:///${file}`).pathname.slice(1);
      expect(roomOf(file), `${file} stands in no room`).toBeGreaterThanOrEqual(0);
      expect(roomOf(path), `${file} imports ${target}`).toBeGreaterThanOrEqual(0);
      expect(roomOf(file), `${file} imports ${target}`).toBeGreaterThanOrEqual(roomOf(path));
    }
  });

  it('go in no circle, from file to file', async () => {
    const found = (await imports('src')).filter(({ target }) => target.startsWith('.'));
    const next = new Map<string, string[]>();
    for (const { file, target } of found) {
      const path = new URL(target, `file:///${file}`).pathname.slice(1);
      next.set(file, [...(next.get(file) ?? []), path]);
    }
    const done = new Set<string>();
    const walk = (file: string, way: readonly string[]) => {
      expect(way, [...way, file].join(' → ')).not.toContain(file);
      if (!done.has(file)) {
        next.get(file)?.forEach((each) => {
          walk(each, [...way, file]);
        });
        done.add(file);
      }
    };
    [...next.keys()].forEach((file) => {
      walk(file, []);
    });
  });

  it('name an engine only where one is opened', async () => {
    const room = (path: string) => path.split('/')[0];
    const known = (await imports('src')).filter(({ file, target }) => {
      const path = new URL(target, `file:///${file}`).pathname.slice(1);
      return target.startsWith('.') && ENGINES.includes(room(path)) && !KNOW_ENGINES.includes(room(file));
    });
    expect(known).toEqual([]);
  });

  it('of src/ name only the packages it is allowed, where it is allowed', async () => {
    const packages = (await imports('src')).filter(({ target }) => !target.startsWith('.'));
    for (const { file, target } of packages) {
      const rooms = target.startsWith('node:') ? NODE_ROOMS : [PACKAGES[target]];
      expect(rooms, `${file} imports ${target}`).toContain(file.split('/')[0]);
    }
  });

  it('never reach from src/ into tools/, nor past the public entry from demo/', async () => {
    expect((await imports('src')).filter(({ target }) => target.includes('tools/'))).toEqual([]);
    const demo = await imports('demo');
    expect(demo.length).toBeGreaterThan(0);
    for (const { file, target } of demo) {
      const isOwn = target.startsWith('.') && new URL(target, `file:///demo/${file}`).pathname.startsWith('/demo/');
      const own = isOwn || DEMO_PACKAGES.includes(target) || target.startsWith('node:');
      expect(own, `demo/${file} imports ${target}`).toBe(true);
    }
  });
});
