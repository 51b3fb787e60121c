import { RillError } from '../../errors.ts';
import { checkWaveform, type Waveform } from '../../waveform/waveform.ts';

/** Why a recording cannot teach a phrase. */
export type TakeProblem = 'silent' | 'clipped' | 'too-short' | 'too-long' | 'several';

/** Where a phrase stands in a recording. */
export interface Take {
  /** Seconds from the recording's start to the phrase's, found by energy. */
  start: number;
  /** Seconds to the phrase's end. */
  end: number;
  /** How loud the phrase is at its loudest, in dB of full scale; -Infinity for digital silence. */
  level: number;
  /** Why it cannot be used; absent where it can. */
  problem?: TakeProblem;
}

/** Seconds that a phrase lasts. */
export const SHORTEST_PHRASE = 0.3;
export const LONGEST_PHRASE = 3;

/** Seconds of a frame of energy, and from one to the next. */
const FRAME_SECONDS = 0.02;
const HOP_SECONDS = 0.01;
/** dB of full scale: a phrase that is quieter at its loudest is none. */
const SILENT_LEVEL = -50;
/** dB: what is quieter than the loudest frame by more is not the phrase, nor is what hardly stands out of the noise. */
const BELOW_LOUDEST = 35;
const ABOVE_NOISE = 8;
/** The noise never counts as louder than this below the loudest: speech may fill a whole recording. */
const LEAST_CONTRAST = 12;
/** Share of the frames that are taken for noise. */
const QUIETEST = 0.1;
/** Seconds: a pause within a phrase, and a click. */
const LONGEST_PAUSE = 0.3;
const LONGEST_CLICK = 0.06;
/** Seconds between two sayings, and how much of the phrase's length and energy another stretch has that is one, too. */
const BETWEEN_SAYINGS = 0.5;
const SHARE_OF_A_SAYING = 0.5;
/** Samples this near to full scale may be cut off, and the share of the phrase's that make it clipped. */
const FULL_SCALE = 0.998;
const CLIPPED_SHARE = 0.002;

/** A stretch of frames: the first, and the one behind the last. */
type Stretch = readonly [first: number, end: number];

/**
 * Finds the phrase in a recording of one take, by its energy, and tells whether it is fit to teach. It costs far less than the
 * recording lasts.
 *
 * @throws RillError `bad-audio` for what is no audio.
 */
export function checkTake(waveform: Waveform): Take {
  checkWaveform(waveform);
  const { samples, sampleRate } = waveform;
  const powers = framePowers(samples, sampleRate);
  const levels = powers.map((power) => 10 * Math.log10(power));
  const loudest = Math.max(-Infinity, ...levels);
  const stretches = loudest < SILENT_LEVEL ? [] : stretchesOf(levels, loudest);
  const [first, end] = phraseOf(stretches, powers);
  const seconds = (frame: number) => Math.min(frame * HOP_SECONDS, samples.length / sampleRate);
  // A frame covers twice as much as lies between two.
  const take = { start: seconds(first), end: end > first ? seconds(end + 1) : 0, level: loudest };
  const problem = problemOf(take, waveform) ?? (isAlone([first, end], stretches, powers) ? undefined : 'several');
  return problem ? { ...take, problem } : take;
}

/**
 * The take, or an error for one that is not fit.
 *
 * @throws RillError `bad-audio`.
 */
export function requireTake(waveform: Waveform, name: string): Take {
  const take = checkTake(waveform);
  if (take.problem) {
    const { got, remedy } = TAKE_PROBLEMS[take.problem];
    throw new RillError('bad-audio', { got: `${name}, ${got}`, expected: 'the phrase, said once', remedy });
  }
  return take;
}

/** What is said of a take that cannot be used. */
export interface TakeAdvice {
  /** What it is, behind its name: "in which nothing is heard". */
  got: string;
  /** What to do. */
  remedy: string;
}

/** What is wrong with a take, and what to do, in words. */
export const TAKE_PROBLEMS: Readonly<Record<TakeProblem, TakeAdvice>> = {
  silent: { got: 'in which nothing is heard', remedy: 'Speak up, or come nearer to the microphone.' },
  clipped: { got: 'which is too loud and cut off', remedy: 'Speak more softly, or turn the microphone down.' },
  'too-short': {
    got: `in which less than ${SHORTEST_PHRASE} s is said`,
    remedy: 'Say the whole phrase; one of two words or three syllables is good.',
  },
  'too-long': {
    got: `in which more than ${LONGEST_PHRASE} s is said`,
    remedy: 'Say the phrase once, with silence before and after.',
  },
  several: {
    got: 'in which something is said more than once',
    remedy: 'Say the phrase once in each recording; cut this one into its parts.',
  },
};

function problemOf({ start, end, level }: Take, { samples, sampleRate }: Waveform): TakeProblem | undefined {
  if (level < SILENT_LEVEL) {
    return 'silent';
  }
  if (end - start < SHORTEST_PHRASE) {
    return 'too-short';
  }
  if (end - start > LONGEST_PHRASE) {
    return 'too-long';
  }
  const phrase = samples.subarray(Math.floor(start * sampleRate), Math.ceil(end * sampleRate));
  const clipped = phrase.reduce((count, sample) => count + (Math.abs(sample) >= FULL_SCALE ? 1 : 0), 0);
  return clipped > CLIPPED_SHARE * phrase.length ? 'clipped' : undefined;
}

/** Mean squares, one every {@link HOP_SECONDS}. */
function framePowers(samples: Float32Array, sampleRate: number): number[] {
  const [length, hop] = [FRAME_SECONDS, HOP_SECONDS].map((seconds) => Math.max(1, Math.round(seconds * sampleRate)));
  const powers: number[] = [];
  for (let from = 0; from + length <= samples.length; from += hop) {
    let sum = 0;
    for (let i = from; i < from + length; i++) {
      sum += samples[i] ** 2;
    }
    powers.push(sum / length);
  }
  return powers;
}

/** What stands out, pauses of a phrase bridged. */
function stretchesOf(levels: readonly number[], loudest: number): Stretch[] {
  const sorted = [...levels].sort((a, b) => a - b);
  const noise = Math.min(sorted[Math.floor(QUIETEST * sorted.length)], loudest - ABOVE_NOISE - LEAST_CONTRAST);
  const threshold = Math.max(loudest - BELOW_LOUDEST, noise + ABOVE_NOISE);
  const loud: Stretch[] = [];
  levels.forEach((level, frame) => {
    if (level >= threshold) {
      const last = loud.at(-1);
      if (last?.[1] === frame) {
        loud[loud.length - 1] = [last[0], frame + 1];
      } else {
        loud.push([frame, frame + 1]);
      }
    }
  });
  const joined: Stretch[] = [];
  for (const stretch of loud.filter(([first, end]) => end - first > LONGEST_CLICK / HOP_SECONDS)) {
    const last = joined.at(-1);
    if (last && stretch[0] - last[1] <= LONGEST_PAUSE / HOP_SECONDS) {
      joined[joined.length - 1] = [last[0], stretch[1]];
    } else {
      joined.push(stretch);
    }
  }
  return joined;
}

const energyOf = ([first, end]: Stretch, powers: readonly number[]) =>
  powers.slice(first, end).reduce((sum, power) => sum + power, 0);

/** The stretch with the most energy. */
const phraseOf = (stretches: readonly Stretch[], powers: readonly number[]) =>
  stretches.reduce<Stretch>((best, each) => (energyOf(each, powers) > energyOf(best, powers) ? each : best), [0, 0]);

/** Whether nothing else is about as long and as loud, a moment before or behind. */
function isAlone(phrase: Stretch, stretches: readonly Stretch[], powers: readonly number[]): boolean {
  const [first, end] = phrase;
  return !stretches.some((other) => {
    const apart = Math.max(other[0] - end, first - other[1]) * HOP_SECONDS;
    const length = (other[1] - other[0]) / (end - first);
    return (
      apart > BETWEEN_SAYINGS &&
      length > SHARE_OF_A_SAYING &&
      energyOf(other, powers) > SHARE_OF_A_SAYING * energyOf(phrase, powers)
    );
  });
}
