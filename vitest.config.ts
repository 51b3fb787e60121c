import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Whole programs: pages, packages, processes, other runtimes. */
const END_TO_END = [
  'test/{demo,runtimes}/**/*.test.ts',
  'test/{one-file,package}*.test.ts',
  'test/server/corpus/queue.all.test.ts',
  'test/tools/{cli,command-line,corpus-campaign,portable,pytorch,soak,train}*.test.ts',
];
/** Without a GPU, a browser or another process: a minute. */
const UNIT = [
  'test/{checkpoint,decoder,features,model,server,snapshot,text,tools,wasm,waveform}/**/*.test.ts',
  'test/{documents,imports}.test.ts',
];

// `vitest run --mode all` tests every method, dtype, runtime and size, and runs the files *.all.test.ts as well.
export default defineConfig(({ mode }) => {
  const all = mode === 'all';
  const project = (name: string, include: string[], exclude: string[] = []): TestProjectInlineConfiguration => ({
    extends: true,
    test: {
      name,
      include,
      exclude: all ? exclude : [...exclude, 'test/**/*.all.test.ts'],
      env: { RILL_TESTS: all ? 'all' : 'few' },
    },
  });
  return {
    // The first that fits is taken.
    resolve: { alias: { 'rill-asr/training': path('src/training/index.ts'), 'rill-asr': path('src/index.ts') } },
    test: {
      projects: [
        project('unit', UNIT, END_TO_END),
        project('gpu', ['test/**/*.test.ts'], [...UNIT, ...END_TO_END]),
        project('e2e', END_TO_END),
      ],
      // Descriptors of the shaders as they are now, also after an edit.
      globalSetup: 'test/support/generate.ts',
      setupFiles: 'test/support/polling.ts',
      // Dawn must be loaded in a process of its own, with its environment, and ends with it.
      pool: 'forks',
      // Much of a test waits, on one core, for compilers and pages: two at a time, also on two cores.
      maxWorkers: Math.max(2, availableParallelism() - 1),
      // For what hangs: a software adapter takes its time, many times as much on a busy machine.
      testTimeout: 600_000,
      hookTimeout: 600_000,
    },
  };
});
