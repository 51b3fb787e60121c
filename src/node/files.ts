import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RillError } from '../errors.ts';
import { openModel, type Model, type ModelFiles } from '../model/model.ts';

/** @throws RillError `bad-argument` when there is no such file. */
export async function readInput(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readInput(path));
}

export function unreadable(path: string, cause: unknown): RillError {
  const words = cause instanceof Error ? cause.message : String(cause);
  return new RillError('bad-argument', {
    got: `${path}, which cannot be read (${words})`,
    expected: 'a file',
    remedy: 'Check the path.',
  });
}

export async function isFolder(path: string): Promise<boolean> {
  return existsSync(path) && (await stat(path)).isDirectory();
}

/** The files of a model folder on disk. @throws RillError `bad-argument` where it, or a file that it needs, is not there. */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  if (!(await isFolder(folder))) {
    throw new RillError('bad-argument', {
      got: folder,
      expected: 'a model folder with config.json and model.safetensors',
      remedy: 'Convert a checkpoint first: rill convert checkpoint.pt -o folder.',
    });
  }
  const optional = (name: string) => (existsSync(join(folder, name)) ? readText(join(folder, name)) : undefined);
  return {
    'config.json': await readText(join(folder, 'config.json')),
    'model.safetensors': await readInput(join(folder, 'model.safetensors')),
    'tokens.txt': await optional('tokens.txt'),
    'keywords.txt': await optional('keywords.txt'),
  };
}

/**
 * Opens a model folder on disk, as `rill convert` writes it: config.json and model.safetensors; tokens.txt and
 * keywords.txt where they are there.
 *
 * @throws RillError `bad-argument` where it is not there, `bad-model` where it is damaged.
 */
export async function openModelFolder(path: string): Promise<Model> {
  return openModel(await readModelFiles(path));
}
