import type { Complaint } from '../errors.ts';

/** Bytes at a file's beginning that {@link foreignFile} looks at. */
export const FOREIGN_BYTES = 64;

/** What often lies in the place of weights: how it begins, in lower case, what it is, and how to get the weights. */
const KINDS: readonly (readonly [start: string, what: string, remedy: string])[] = [
  [
    'version https://git-lfs.github.com/spec/',
    'a Git LFS pointer',
    'Fetch the file itself: run git lfs pull in its repository, or download it by the link of the website.',
  ],
  ['<!doctype html', 'a web page', 'Download the file itself, not the page that shows it.'],
  ['<html', 'a web page', 'Download the file itself, not the page that shows it.'],
  ['<?xml', 'an XML document, as servers send with an error', 'Download the file again.'],
  ['\x1f\x8b', 'a gzip archive', 'Unpack it first.'],
  ['bzh', 'a bzip2 archive', 'Unpack it first.'],
  ['\xfd7zxz', 'an xz archive', 'Unpack it first.'],
];

/**
 * Names a file that holds no weights at all.
 *
 * @param start its first bytes, {@link FOREIGN_BYTES} or as many as it has
 * @param name the file's name for the error
 */
export function foreignFile(start: Uint8Array, name: string): Complaint | undefined {
  const text = String.fromCharCode(...start.subarray(0, FOREIGN_BYTES))
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  const [, what, remedy] = KINDS.find(([beginning]) => text.startsWith(beginning)) ?? [];
  return what === undefined || remedy === undefined
    ? undefined
    : { got: `${name}, which is ${what}`, expected: 'a file of weights', remedy };
}
