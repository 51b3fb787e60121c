import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/**
 * `dist/rill.min.js`, for pages without a bundler, and beside it the converter, which it loads when it is asked for. The
 * microphone's worklet is in the file, as a `data:` address.
 */
export default defineConfig({
  publicDir: false,
  build: {
    outDir: path('dist'),
    emptyOutDir: false,
    target: 'es2022',
    minify: true,
    sourcemap: true,
    lib: { entry: path('src/one-file.ts'), formats: ['es'], fileName: () => 'rill.min.js' },
    rolldownOptions: {
      // The converter imports what it shares with the rest from the file itself: no third file.
      preserveEntrySignatures: 'allow-extension',
      output: {
        minify: true,
        chunkFileNames: 'rill-[name].min.js',
        // The package has its own sources, and npm puts those of other packages beside it.
        sourcemapExcludeSources: true,
        sourcemapPathTransform: (source) => source.replace(/^.*\/node_modules\//, '../../'),
      },
    },
  },
});
