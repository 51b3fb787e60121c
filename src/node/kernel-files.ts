import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { KernelStore } from '../webgpu/device/kernel-store.ts';

/** Choices of kernels in the user's cache folder, a file for each. */
export function kernelFiles(): KernelStore {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rill');
  const path = (key: string) => join(folder, `kernels-${createHash('sha256').update(key).digest('hex')}.json`);
  return {
    get: (key) => readFile(path(key), 'utf8'),
    async set(key, value) {
      await mkdir(folder, { recursive: true });
      await writeFile(path(key), value);
    },
  };
}
