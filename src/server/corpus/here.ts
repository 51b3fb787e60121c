import { errorLine, type CorpusFile } from './corpus-file.ts';
import type { Heard, Hearing, HearingReports } from './hearing.ts';
import type { ResultsFile } from './results-file.ts';

/** A corpus in one process, without a queue. */
export interface HereOptions {
  /** The list. */
  files: readonly CorpusFile[];
  /** Where their lines go; what it has already is not done again. */
  results: ResultsFile;
  /** Hears the files. */
  hearing: Pick<Hearing, 'hear'>;
  /** A file's line: JSON. */
  lineOf: (file: CorpusFile, heard: Heard) => string;
  /** Called when a file is done. */
  onFile?: (file: CorpusFile, outcome: { seconds: number; error?: unknown }) => void;
  /** Ends it early; it can go on later. */
  signal?: AbortSignal;
}

/** Attempts at a file that cannot be read, the further ones when all others are done. */
const ATTEMPTS = 3;
/** Crashes after which a file that was under way is heard alone, and after which it is set aside. */
const CRASHES = 2;
const CRASHES_ALONE = 5;

/**
 * Does what is left of a corpus, and writes the file of results when all is done. After a crash call it again: files that
 * were under way when the process ended again and again are done last, each alone, and in the end set aside.
 *
 * @throws what the engine fails with, or the signal's reason: the journal is kept then.
 */
export async function transcribeHere(options: HereOptions): Promise<void> {
  const { files, results, hearing, signal } = options;
  const crashes = new Map(files.map(({ index }) => [index, results.crashes(index)]));
  const crashesOf = ({ index }: CorpusFile) => crashes.get(index) ?? 0;
  try {
    let left = files.filter((file) => !results.has(file.index) && crashesOf(file) < CRASHES);
    for (let attempt = 1; left.length > 0; attempt++) {
      const reports = new HereReports(options, attempt);
      await hearing.hear(left, reports, signal);
      left = reports.refused;
    }
    for (const file of files.filter(({ index }) => !results.has(index))) {
      if (crashesOf(file) >= CRASHES_ALONE) {
        await setAside(options, file, new Error(`the process ended ${crashesOf(file)} times while it was heard`));
      } else {
        await hearing.hear([file], new HereReports(options, ATTEMPTS), signal);
      }
    }
  } catch (error) {
    await (signal?.aborted ? results.close() : results.abandon());
    throw error;
  }
  await results.finish();
}

async function setAside({ results, onFile }: HereOptions, file: CorpusFile, error: unknown): Promise<void> {
  await results.add(file.index, errorLine(file, error));
  onFile?.(file, { seconds: 0, error });
}

/** Writes lines as they come. */
class HereReports implements HearingReports {
  /** Files that cannot be read, to be tried again. */
  readonly refused: CorpusFile[] = [];
  readonly #options: HereOptions;
  readonly #attempt: number;

  constructor(options: HereOptions, attempt: number) {
    this.#options = options;
    this.#attempt = attempt;
  }

  async onBegin({ index }: CorpusFile): Promise<void> {
    await this.#options.results.begin(index);
  }

  async onHeard(file: CorpusFile, heard: Heard): Promise<void> {
    const { results, lineOf, onFile } = this.#options;
    await results.add(file.index, lineOf(file, heard));
    onFile?.(file, { seconds: heard.seconds });
  }

  async onRefused(file: CorpusFile, error: unknown): Promise<void> {
    if (this.#attempt < ATTEMPTS) {
      this.refused.push(file);
    } else {
      await setAside(this.#options, file, error);
    }
  }
}
