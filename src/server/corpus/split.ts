import type { CorpusFile } from './corpus-file.ts';

/** Seconds and number of files of a job. */
export interface JobSize {
  /** Audio of a job; a longer file has one of its own. */
  seconds: number;
  /** Files at most. */
  files: number;
}

/** Files in jobs, in their order: neighbours, so that results come about in order, too. */
export function groupFiles(files: readonly CorpusFile[], size: JobSize): CorpusFile[][] {
  const groups: CorpusFile[][] = [];
  let seconds = Infinity;
  for (const file of files) {
    const group = groups.at(-1);
    if (group && seconds + file.seconds <= size.seconds && group.length < size.files) {
      group.push(file);
      seconds += file.seconds;
    } else {
      groups.push([file]);
      seconds = file.seconds;
    }
  }
  return groups;
}

/**
 * Cuts up what is left of a job that takes its worker down again and again, so that in the end the file that does so
 * stands alone: each file that was under way by itself, and the rest as one job; halves where that is not known.
 *
 * @param left two files at least
 * @param underWay indices of the files that were under way at the end
 */
export function splitJob(left: readonly CorpusFile[], underWay: readonly number[]): CorpusFile[][] {
  const suspects = left.filter(({ index }) => underWay.includes(index));
  const others = left.filter(({ index }) => !underWay.includes(index));
  if (suspects.length === 0) {
    const middle = Math.ceil(left.length / 2);
    return [left.slice(0, middle), left.slice(middle)];
  }
  return [...suspects.map((file) => [file]), ...(others.length > 0 ? [others] : [])];
}
