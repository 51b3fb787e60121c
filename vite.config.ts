import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { ENGLISH } from './demo/english.ts';
import { writeKernels } from './tools/generate-kernels.ts';
import { writeThread } from './tools/generate-thread.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Keeps what is made of the shaders, of the CPU's kernels and of its threads as those are, also while they are being edited. */
const generated: Plugin = {
  name: 'rill-generated',
  async buildStart() {
    await Promise.all([writeKernels(), writeThread()]);
  },
  configureServer({ watcher }) {
    const wasm = path('wasm');
    const threads = path('src/wasm');
    watcher.add([path('shaders'), wasm]).on('change', (file) => {
      if (file.endsWith('.wgsl')) {
        void writeKernels();
      } else if (file.startsWith(wasm) || (file.startsWith(threads) && !file.endsWith('.generated.ts'))) {
        void writeThread();
      }
    });
  },
};

const escaped = (key: string) =>
  String(Object.entries(ENGLISH).find(([name]) => name === key)?.[1]).replace(
    /[&<>"]/g,
    (sign) => `&#${sign.charCodeAt(0)};`,
  );

/** The page's English text, to be read before any script runs and by whoever runs none; and the headers of its host. */
const readable: Plugin = {
  name: 'rill-readable',
  transformIndexHtml: (html) =>
    html
      .replace(/(data-say="(\w+)"[^>]*>)(?=<)/g, (_, tag: string, key: string) => tag + escaped(key))
      .replace(/content=""(?= data-say-content="(\w+)")/g, (_, key: string) => `content="${escaped(key)}"`),
  async generateBundle() {
    this.emitFile({ type: 'asset', fileName: '_headers', source: await readFile(path('demo/_headers')) });
  },
};

/** The demo page. Model folders are served, and copied into the build, as they are. */
export default defineConfig({
  root: path('demo'),
  publicDir: path('weights'),
  base: './',
  plugins: [generated, readable],
  // The first that fits is taken.
  resolve: { alias: { 'rill-asr/training': path('src/training/index.ts'), 'rill-asr': path('src/index.ts') } },
  server: { fs: { allow: [path('.')] } },
  build: { outDir: path('dist/demo'), emptyOutDir: true, target: 'es2023', assetsInlineLimit: 0 },
  worker: { format: 'es' },
});
