/** What models were taught in this page, and from which recordings: whoever teaches them again needs those. */
import type { ModelFiles, Waveform } from 'rill-asr';
import type { Rehearsal } from 'rill-asr/training';
import { BUNDLED, bundledRecordings } from '../bundled.ts';
import { decodeAudio } from '../files.ts';
import type { ModelChoice } from '../model.ts';

/** A phrase that a model was taught, and from what. */
export interface Lesson {
  phrase: string;
  takes: readonly Waveform[];
  /** What must not wake it. */
  negatives: readonly Waveform[];
}

/** A model that was taught phrases. */
export interface TaughtModel {
  name: string;
  files: ModelFiles;
  /** Whether it comes from the bundled model, of whose phrases the page has recordings. */
  isFromBundled: boolean;
  lessons: readonly Lesson[];
}

/** What is known of how a model came to know what it knows. */
export type Schooling = Pick<TaughtModel, 'isFromBundled' | 'lessons'>;

/** That of a model that was taught nothing here. */
export const untaught = ({ source }: ModelChoice): Schooling => ({
  isFromBundled: source === BUNDLED.source,
  lessons: [],
});

/** Whether two phrases are one for a model. */
export const isSamePhrase = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();

/** Recordings of what a model knows, so that it does not fade while it is taught more. */
export async function rehearsalOf({ isFromBundled, lessons }: Schooling, except: string): Promise<Rehearsal[]> {
  const taught = withoutLesson(lessons, except).flatMap(({ phrase, takes }) =>
    takes.map((waveform) => ({ waveform, text: phrase })),
  );
  return isFromBundled ? [...(await bundledRehearsal()), ...taught] : taught;
}

/** The bundled recordings of one phrase each. */
async function bundledRehearsal(): Promise<Rehearsal[]> {
  const recordings = (await bundledRecordings()).filter(({ name }) => name !== 'stream');
  return Promise.all(
    recordings.map(async ({ load, label = '' }) => ({ waveform: await decodeAudio(await load()), text: label })),
  );
}

export const withoutLesson = (lessons: readonly Lesson[], phrase: string): Lesson[] =>
  lessons.filter((each) => !isSamePhrase(each.phrase, phrase));

/** Lessons with one more, in the place of the one before of the same phrase. */
export const withLesson = (lessons: readonly Lesson[], lesson: Lesson): Lesson[] => [
  ...withoutLesson(lessons, lesson.phrase),
  lesson,
];
