/** One of the files that a kernel is put together from. */
export interface WgslFile {
  /** Its path in `shaders/`. */
  readonly file: string;
  /** Where it starts in the kernel's code, the first line being 1. */
  readonly line: number;
}

/**
 * Where a line of a kernel's code stands in `shaders/`.
 *
 * @param files in their order
 */
export function placeInFile(files: readonly WgslFile[], line: number): string {
  const found = files.findLast((each) => each.line <= line) ?? files[0];
  return `shaders/${found.file}:${line - found.line + 1}`;
}
