import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const run = promisify(execFile);
const SIZES = 'd=128,h=256,ff=512,layers=2';

interface Row {
  medianMs: number;
  steps: number;
}

describe('the portable folder', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rill-portable-'));
    await run(process.execPath, [tsx, 'tools/portable/make-portable.ts', folder], { cwd: root });
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('holds a bundle, Dawn for this platform and the PyTorch script, and no more', async () => {
    expect((await readdir(folder)).sort()).toEqual([
      'LICENSE',
      'README.md',
      'node_modules',
      'pytorch_bench.py',
      'rill-bench.mjs',
    ]);
    expect(await readdir(join(folder, 'node_modules', 'webgpu', 'dist'))).toHaveLength(1);
  });

  it('runs on its own', async () => {
    const rows = ['--chunks', '1', '--streams', '2', '--batches', '1', '--kernels', '1'];
    const args = ['rill-bench.mjs', '--adapter', 'software', '--random', SIZES, '--seconds', '0', '--json', ...rows];
    const { stdout } = await run(process.execPath, args, { cwd: folder });
    const { sizes, exact, ...sections } = JSON.parse(stdout) as { sizes: object; exact: boolean } & Record<
      string,
      Row[]
    >;
    expect(sizes).toMatchObject({ dModel: 128, rnnHiddenSize: 256, numEncoderLayers: 2 });
    for (const section of ['chunks', 'streams', 'batches']) {
      expect(sections[section][0].medianMs, section).toBeGreaterThan(0);
    }
    expect(sections.kernels).toHaveLength(1);
    expect(exact).toBe(true);
  });

  it('trains on its own, too', async () => {
    const args = ['rill-bench.mjs', '--adapter', 'software', '--random', SIZES, '--seconds', '0', '--json'];
    const { stdout } = await run(process.execPath, [...args, '--train', 'layer,teach'], { cwd: folder });
    const { training } = JSON.parse(stdout) as { training: { name: string; step: Row; trained: number }[] };
    expect(training.map(({ name }) => name)).toEqual(['layer', 'teach']);
    training.forEach(({ step }) => expect(step.medianMs).toBeGreaterThan(0));
    // Both layers and the head.
    expect(training[1].trained).toBeGreaterThan(2 * 426_000);
  });

  it('says that there is no GPU where there is none, and nothing of browsers', async () => {
    const outcome = run(process.execPath, ['rill-bench.mjs', '--random', SIZES, '--chunks', '1'], { cwd: folder });
    await expect(outcome).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/adapter/i) as string });
  });

  it('has the same network in PyTorch, where there is one', async ({ skip }) => {
    const python = '/usr/bin/python3';
    const missing = await run(python, ['-c', 'import torch']).then(
      () => false,
      () => true,
    );
    skip(missing, 'no PyTorch');
    const args = ['--random', SIZES, '--chunks', '1', '--streams', '2', '--batches', '1', '--seconds', '0', '--json'];
    const { stdout } = await run(python, [join(folder, 'pytorch_bench.py'), '--device', 'cpu', ...args]);
    const { dtypes } = JSON.parse(stdout) as { dtypes: (Record<string, Row[]> & { modelBytes: number })[] };
    const [{ modelBytes, chunks, streams, batches }] = dtypes;
    // 1,191,792 of the encoder, as rill bench counts them without eps, 3 eps and the CTC head.
    expect(modelBytes).toBe(4 * (1_191_792 + 3 + 500 * 129));
    [chunks, streams, batches].forEach(([{ medianMs }]) => expect(medianMs).toBeGreaterThan(0));
    const train = ['--device', 'cpu', '--train', 'layer,teach', '--random', SIZES, '--seconds', '0', '--json'];
    const trained = await run(python, [join(folder, 'pytorch_bench.py'), ...train]);
    const { training } = JSON.parse(trained.stdout) as { training: (Row & { name: string })[] };
    expect(training.map(({ name }) => name)).toEqual(['layer', 'teach']);
    training.forEach(({ medianMs }) => expect(medianMs).toBeGreaterThan(0));
  });
});
