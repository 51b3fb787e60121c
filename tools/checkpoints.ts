import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ByteSource } from '../src/checkpoint/bytes.ts';
import { RillError } from '../src/errors.ts';
import { isFolder, withFile } from './files.ts';

/** The parts of sherpa-onnx's trio; of several exports of a part, float comes before int8. */
const PARTS = ['encoder', 'decoder', 'joiner'];

/** The files of a checkpoint: itself, or the ONNX trio of a folder. */
async function checkpointFiles(path: string): Promise<string[]> {
  if (!(await isFolder(path))) {
    return [path];
  }
  const names = (await readdir(path)).filter((name) => name.endsWith('.onnx')).sort();
  const files = PARTS.flatMap((part) => {
    const candidates = names.filter((name) => name.startsWith(part));
    const best = candidates.find((name) => !name.includes('int8')) ?? candidates[0];
    return best === undefined ? [] : [join(path, best)];
  });
  if (files.length === 0) {
    throw new RillError('bad-argument', {
      got: `${path}, a folder without encoder*.onnx`,
      expected: 'a checkpoint, or a folder with an ONNX trio',
      remedy: 'Name the checkpoint file itself.',
    });
  }
  return files;
}

/** Whether a folder's ONNX files include the decoder and the joiner. */
export async function hasHead(path: string): Promise<boolean> {
  return (await checkpointFiles(path)).length === PARTS.length;
}

/** Runs `use` with a checkpoint's files open, and with those of the checkpoint that norm eps are taken from. */
export async function withCheckpoint<Result>(
  path: string,
  donor: string | undefined,
  use: (source: readonly ByteSource[], normEpsFrom?: ByteSource) => Promise<Result>,
): Promise<Result> {
  const open = async (files: readonly string[], opened: readonly ByteSource[]): Promise<Result> => {
    const [next, ...rest] = files;
    if (next !== undefined) {
      return withFile(next, (source) => open(rest, [...opened, source]));
    }
    return donor === undefined ? use(opened) : withFile(donor, (source) => use(opened, source));
  };
  return open(await checkpointFiles(path), []);
}
