import type { RecognitionResult } from '../recognizer/results.ts';
import type { Waveform } from '../waveform/waveform.ts';

/** Audio that is not decoded yet, or not for long, by where it ends in the stream. */
export interface PendingAudio extends Waveform {
  /** Seconds from the start of the stream. */
  end: number;
}

/** A stream at the moment when its device was lost; times in seconds. */
export interface Interrupted {
  /** What was heard, times counted from where its device took it up. */
  result: RecognitionResult;
  /** Where its device took it up. */
  start: number;
  /** Audio decoded since. */
  decodedSeconds: number;
  /** Audio that is not decoded yet, or not for long. */
  pending: readonly PendingAudio[];
  chunkFrames: number;
  secondsPerFrame: number;
}

/** How its successor goes on. */
export interface Rewound {
  /** How many tokens belong to words that are complete; the rest is heard again. */
  completeTokens: number;
  /** Seconds from the start of the stream to where the successor begins. */
  start: number;
  /** Encoder frames at its start that only bring its states to where those before it were. */
  warmUpFrames: number;
  /** The audio that it hears first. */
  pending: PendingAudio[];
}

/** The longest stretch before a lost device that is heard again, a word and more; and as much again before it. */
export const REWIND_SECONDS = 2;

/**
 * Where a stream goes on whose device is lost: behind its last complete word, with some audio before that, in whole chunks,
 * which brings the next encoder's states to where they were.
 */
export function rewind({ result, start, decodedSeconds, pending, chunkFrames, secondsPerFrame }: Interrupted): Rewound {
  const wordEnd = result.words.at(-1)?.end;
  const said = wordEnd === undefined ? result.startTime : wordEnd + secondsPerFrame;
  const from = Math.max(said, decodedSeconds - REWIND_SECONDS);
  // Whole chunks before it, so that what was said ends where a chunk does.
  const chunkSeconds = chunkFrames * secondsPerFrame;
  const [first] = pending;
  const kept = first ? start + from - startOf(first) : 0;
  const chunks = Math.max(0, Math.floor(Math.min(REWIND_SECONDS, kept) / chunkSeconds));
  const next = start + from - chunks * chunkSeconds;
  return {
    completeTokens: wordEnd === undefined ? 0 : result.timestamps.filter((time) => time <= wordEnd).length,
    start: next,
    warmUpFrames: chunks * chunkFrames,
    pending: pending
      .filter(({ end }) => end > next)
      .map((audio) => {
        const heard = next - startOf(audio);
        return { ...audio, samples: audio.samples.subarray(Math.max(0, Math.round(heard * audio.sampleRate))) };
      }),
  };
}

/** Seconds from the start of the stream to the start of a piece. */
const startOf = ({ end, samples, sampleRate }: PendingAudio) => end - samples.length / sampleRate;
