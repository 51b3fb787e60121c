import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { writeKernels } from './tools/generate-kernels.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Keeps the shaders' descriptors as the shaders are, also while they are being edited. */
const shaders: Plugin = {
  name: 'rill-shaders',
  buildStart: writeKernels,
  configureServer({ watcher }) {
    watcher.add(path('shaders')).on('change', (file) => {
      if (file.endsWith('.wgsl')) {
        void writeKernels();
      }
    });
  },
};

/** The demo page. Model folders are served, and copied into the build, as they are. */
export default defineConfig({
  root: path('demo'),
  publicDir: path('weights'),
  base: './',
  plugins: [shaders],
  resolve: { alias: { rill: path('src/index.ts') } },
  server: { fs: { allow: [path('.')] } },
  build: { outDir: path('dist/demo'), emptyOutDir: true, target: 'es2023', assetsInlineLimit: 0 },
  worker: { format: 'es' },
});
