import { existsSync } from 'node:fs';
import { mkdir, open, realpath, rename, rm, rmdir, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, normalize } from 'node:path';
import type { ByteSource } from '../src/checkpoint/bytes.ts';
import { RillError } from '../src/errors.ts';
import { unreadable } from '../src/node/files.ts';

export { isFolder, readInput, readModelFiles, readText, unreadable } from '../src/node/files.ts';

/** Bytes that are read at once: Node counts them in 32 bits. */
const MAX_READ = 2 ** 30;

/** Runs `use` with a file that is read in pieces. */
export async function withFile<Result>(path: string, use: (source: ByteSource) => Promise<Result>): Promise<Result> {
  let file;
  try {
    file = await open(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    const about = await file.stat();
    if (!about.isFile()) {
      throw unreadable(path, 'it is not a file');
    }
    const { size } = about;
    return await use({
      size,
      name: basename(path),
      read: (offset, length) => readBytes(file, offset, Math.min(length, size - offset)),
      beside: (name) => fileBeside(path, name),
    });
  } finally {
    await file.close();
  }
}

/** Bytes of a file, or fewer where it ends before. */
async function readBytes(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(Math.max(0, length));
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, Math.min(MAX_READ, bytes.length - done), offset + done);
    if (bytesRead === 0) {
      break;
    }
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

/** A file in the folder of another one, or below: what an untrusted file names may lie nowhere else. */
async function fileBeside(path: string, name: string): Promise<ByteSource | undefined> {
  const inside = normalize(name);
  const target = join(dirname(path), inside);
  if (isAbsolute(name) || inside.startsWith('..') || !existsSync(target)) {
    return undefined;
  }
  const about = await stat(target);
  return about.isFile()
    ? {
        size: about.size,
        name: basename(target),
        async read(offset, length) {
          const file = await open(target);
          try {
            return await readBytes(file, offset, Math.min(length, about.size - offset));
          } finally {
            await file.close();
          }
        },
      }
    : undefined;
}

/** Writes files into a folder: under other names first, renamed once all are whole, so that none is ever cut off. */
export async function writeFolder(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array | undefined>>,
): Promise<void> {
  const present = existsSync(folder);
  const temporary = (name: string) => join(folder, `.${name}.${process.pid}.partial`);
  const entries = Object.entries(files).flatMap(([name, data]) => (data === undefined ? [] : [{ name, data }]));
  try {
    await mkdir(folder, { recursive: true });
    for (const { name, data } of entries) {
      await writeFile(temporary(name), data);
    }
    for (const { name } of entries) {
      await rename(temporary(name), join(folder, name));
    }
  } catch (cause) {
    await Promise.all(entries.map(({ name }) => rm(temporary(name), { force: true }).catch(() => undefined)));
    if (!present) {
      await rmdir(folder).catch(() => undefined);
    }
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new RillError('bad-argument', {
      got: `${folder}, which cannot be written (${words})`,
      expected: 'a folder with room',
      remedy: 'Check the output path and the free space.',
    });
  }
}

/** Writes one file, whole or not at all; what is no file of its own (a pipe, a device) is written into. */
export async function writeOutput(path: string, data: Uint8Array): Promise<void> {
  const target = existsSync(path) ? await realpath(path) : path;
  const about = existsSync(target) ? await stat(target) : undefined;
  if (about && !about.isFile() && !about.isDirectory()) {
    await writeFile(target, data);
  } else {
    await writeFolder(dirname(target), { [basename(target)]: data });
  }
}
