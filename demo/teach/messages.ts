/** What the page asks of the worker that teaches, and what that says. One worker does one thing, and ends. */
import type { ModelFiles, Waveform } from 'rill-asr';
import type { Rehearsal, TeachProgress } from 'rill-asr/training';

/** The address of a model folder, or its files. */
type Source = string | ModelFiles;

export interface TeachRequest {
  verb: 'teach';
  /** A phrase that it was taught already is taken out first. */
  source: Source;
  phrase: string;
  recordings: readonly Waveform[];
  negatives: readonly Waveform[];
  rehearsal: readonly Rehearsal[];
  /** The address of a WAV file with other people's speech. */
  speech: string;
  /** For tests: fewer steps than the recipe has. */
  steps?: number;
}

export interface UnteachRequest {
  verb: 'unteach';
  source: Source;
  phrase: string;
}

export type TeacherRequest = TeachRequest | UnteachRequest;

export type TeacherReply = { progress: TeachProgress } | { files: ModelFiles } | { error: string };
