/** A recording of a corpus, or the part of one that is meant. */
export interface CorpusFile {
  /** Its place in the list, from 0. */
  index: number;
  /** Where it is, as the list, or the corpus's root, has it. */
  audio: string;
  /** Seconds from its start to what is meant, and how long that is; the whole by default. */
  start?: number;
  /** See {@link CorpusFile.start}. */
  duration?: number;
  /** How many seconds it probably lasts; 0 where nothing is known. */
  seconds: number;
}

/** As a job carries it through Redis: index, audio, seconds, and a part's start and duration. */
export type PackedFile = [number, string, number, number?, (number | null)?];

/** In few bytes: Redis holds all that wait. */
export function packFile({ index, audio, start, duration, seconds }: CorpusFile): PackedFile {
  const rounded = Math.round(1000 * seconds) / 1000;
  const isWhole = start === undefined && duration === undefined;
  return isWhole ? [index, audio, rounded] : [index, audio, rounded, start ?? 0, duration ?? null];
}

export function unpackFile([index, audio, seconds, start, duration]: PackedFile): CorpusFile {
  return { index, audio, seconds, start, duration: duration ?? undefined };
}

/** The line that stands for a file that was set aside. */
export function errorLine({ audio, start, duration }: CorpusFile, error: unknown): string {
  return JSON.stringify({ audio, start, duration, error: reasonOf(error) });
}

/** What an error says. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
