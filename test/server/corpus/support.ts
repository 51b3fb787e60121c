import type { CorpusFile } from '../../../src/server/corpus/corpus-file.ts';
import type { Heard, HearingReports } from '../../../src/server/corpus/hearing.ts';

/** Files that last so many seconds each, or are called so. */
export const corpusFiles = (of: readonly (number | string)[]): CorpusFile[] =>
  of.map((each, index) =>
    typeof each === 'number' ? { index, audio: `${index}.wav`, seconds: each } : { index, audio: each, seconds: 1 },
  );

/** The line of what {@link FakeHearing} hears. */
export const fakeLine = ({ index, audio }: CorpusFile, { seconds }: Heard) => JSON.stringify({ audio, index, seconds });

/** Hears a second in every file, one after the other, without an engine; what its name says of a file comes true. */
export class FakeHearing {
  /** What was begun, in order. */
  readonly begun: string[] = [];
  /** Awaited before each file. */
  before: (file: CorpusFile) => Promise<void> | void = () => undefined;

  async ready(): Promise<void> {
    // There is nothing to open.
  }

  async hear(files: Iterable<CorpusFile>, reports: HearingReports, signal?: AbortSignal): Promise<void> {
    for (const file of files) {
      signal?.throwIfAborted();
      await reports.onBegin(file);
      this.begun.push(file.audio);
      await this.before(file);
      signal?.throwIfAborted();
      if (file.audio.startsWith('crash')) {
        process.kill(process.pid, 'SIGKILL');
      } else if (file.audio.startsWith('fail')) {
        throw new Error('the engine failed');
      } else if (file.audio.startsWith('unreadable')) {
        await reports.onRefused(file, new Error('no audio'));
      } else {
        await reports.onHeard(file, { segments: [], seconds: 1 });
      }
    }
  }
}
