import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { destroyAtExit, destroyOpenDevices } from '../../src/node/exit.ts';
import { openGpu } from '../../src/node/gpu.ts';
import { openModelFolder } from '../../src/node/index.ts';
import { failure } from '../support/failure.ts';
import { wakeWordsFolder } from '../support/fixtures.ts';

it('opens a model folder, with its tokens and keywords', async () => {
  const model = await openModelFolder(wakeWordsFolder);
  expect(model.tokens?.size).toBe(29);
  expect(model.keywords).toContain('@alexa');
});

it('says which folder, or which of its files, is not there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rill-folder-'));
  await writeFile(join(folder, 'config.json'), '{}');
  expect(await failure('bad-argument', () => openModelFolder(join(folder, 'none')))).toContain('a model folder');
  expect(await failure('bad-argument', () => openModelFolder(folder))).toContain(
    'model.safetensors, which cannot be read',
  );
  await rm(folder, { recursive: true });
});

it('opens GPUs side by side, of one instance of Dawn, and leaves the environment as it was', async () => {
  const names = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES', 'NODEVICE_SELECT'];
  const before = names.map((name) => process.env[name]);
  const [first, second] = await Promise.all([openGpu(), openGpu()]);
  expect(second.gpu).toBe(first.gpu);
  expect(second.device).not.toBe(first.device);
  expect(names.map((name) => process.env[name])).toEqual(before);
  first.dispose();
  second.check();
  second.dispose();
});

it('keeps choices of kernels in the user’s cache folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rill-cache-'));
  vi.stubEnv('XDG_CACHE_HOME', folder);
  const gpu = await openGpu();
  await gpu.kernelStore.set('key', 'value');
  expect(await gpu.kernelStore.get('key')).toBe('value');
  expect(await gpu.kernelStore.get('another key').catch(() => undefined)).toBeUndefined();
  gpu.dispose();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

it('destroys at the end of the process whatever device is open then, and no other', async () => {
  let lose: () => void = () => undefined;
  const open = { lost: new Promise<void>(() => undefined), destroy: vi.fn() };
  const lost = { lost: new Promise<void>((resolve) => (lose = resolve)), destroy: vi.fn() };
  [open, lost].forEach((device) => {
    destroyAtExit(device as unknown as GPUDevice);
  });
  lose();
  await lost.lost;
  destroyOpenDevices();
  expect(open.destroy).toHaveBeenCalledTimes(1);
  expect(lost.destroy).not.toHaveBeenCalled();
});
