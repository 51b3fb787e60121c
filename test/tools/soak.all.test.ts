import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');

describe('bench:soak', () => {
  it('runs sessions that come and go, and finds nothing lost and no growth', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rill-soak-'));
    const args = ['--minutes', '1', '--sessions', '3', '--out', folder, '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, 'tools/soak.ts', ...args], { cwd: root });
    const { steady, last, samples } = JSON.parse(stdout) as {
      samples: unknown[];
      steady: { buffers: { least: number; most: number } };
      last: { sessions: number; audioMinutes: number };
    };
    expect(samples.length).toBeGreaterThanOrEqual(3);
    expect(steady.buffers.least).toBe(steady.buffers.most);
    expect(last.sessions).toBeGreaterThan(0);
    expect(last.audioMinutes).toBeGreaterThanOrEqual(1);
    expect(await readFile(join(folder, 'soak.svg'), 'utf8')).toContain('process memory');
    await rm(folder, { recursive: true });
  });
});
