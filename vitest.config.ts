import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { rill: fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    // Descriptors of the shaders as they are now, also after an edit.
    globalSetup: 'test/support/generate.ts',
    // Dawn must be loaded in a process of its own, with its environment, and ends with it.
    pool: 'forks',
    // A software adapter takes its time, more so on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
