import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
const run = promisify(execFile);

/** Of float32 beside float64, in five steps: about 1e-6, and Adam's steps of what is left of rounding. */
const ROUNDED = 2e-5;

it('the losses of a training are PyTorch’s, where there is one', async ({ skip }) => {
  const missing = await run('/usr/bin/python3', ['-c', 'import torch, numpy']).then(
    () => false,
    () => true,
  );
  skip(missing, 'no PyTorch');
  const args = ['--config', '2x20', '--steps', '5', '--batch-size', '2', '--adapter', 'software', '--json'];
  const { stdout } = await run(process.execPath, [tsx, 'tools/pytorch/compare-pytorch.ts', ...args], { cwd: root });
  const { losses, rillFloat64 } = JSON.parse(stdout) as {
    losses: Record<'rill' | 'float32' | 'float64', number[]>;
    rillFloat64: { difference: number };
  };
  expect(losses.rill).toHaveLength(5);
  expect(new Set(losses.rill).size).toBe(5);
  losses.rill.forEach((loss, i) => {
    expect(Math.abs(loss / losses.float64[i] - 1)).toBeLessThan(ROUNDED);
  });
  expect(rillFloat64.difference).toBeLessThan(ROUNDED);
});
