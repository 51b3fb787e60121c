import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const run = promisify(execFile);
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Packs the package that `npm run prepack` has built. @returns the file, in `folder` */
export async function packPackage(folder: string): Promise<string> {
  const { stdout } = await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
  });
  return join(folder, stdout.trim());
}

/**
 * `npm install` of a package in an empty folder, as its user does it.
 *
 * @param source what npm takes: a packed file, the address of a git repository
 * @returns the folder, and all that npm has said
 */
export async function installPackage(source: string): Promise<{ folder: string; said: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'rill-installed-'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  // The tests' own npm hands its settings on: a user's knows nothing of them.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry)/i.test(name)),
  );
  const { stdout, stderr } = await run('npm', ['install', '--prefer-offline', source], { cwd: folder, env });
  return { folder, said: stdout + stderr };
}
