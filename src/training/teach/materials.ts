import { RillError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import type { TokenTable } from '../../model/tokens.ts';
import { concatenated } from '../../waveform/arrays.ts';
import { resampled } from '../../waveform/resampler.ts';
import { checkWaveform, type Waveform } from '../../waveform/waveform.ts';
import type { Rehearsal, TeachOptions } from './options.ts';
import { LONG_SECONDS } from './recipe.ts';
import { checkTake, requireTake, type Take } from './take.ts';

/** Something that is said, in a recording. */
export interface Saying {
  samples: Float32Array;
  /** Seconds from the recording's start. */
  start: number;
  end: number;
}

/** What the model knew before, and the recordings of it. */
export interface Rehearsed {
  tokens: readonly number[];
  sayings: readonly Saying[];
}

/** Recordings at the model's sample rate, with what is said in them found. */
export interface Materials {
  sampleRate: number;
  phrases: readonly Saying[];
  negatives: readonly Saying[];
  rehearsal: readonly Rehearsed[];
  /** All other speech, one recording behind the other. */
  speech: Float32Array;
}

/** Recordings of the phrase, at least. */
export const LEAST_RECORDINGS = 3;
/** A recording of what must not be heard that is longer is speech, not one saying. */
const LONGEST_SAYING = 5;

function unfit(got: string, expected: string, remedy: string): RillError {
  return new RillError('bad-argument', { got, expected, remedy });
}

function atRate(waveform: Waveform, sampleRate: number): Float32Array {
  checkWaveform(waveform);
  return resampled(waveform, sampleRate).samples;
}

/** Tokens of what is said: that of a phrase the model was taught, or those that spell it. */
export function tokensOf(text: string, table: TokenTable): readonly number[] {
  const phrase = table.phraseId(text);
  const tokens = phrase === undefined ? table.encode(text) : [phrase];
  if (!tokens || tokens.length === 0) {
    throw unfit(
      `a rehearsal of ${JSON.stringify(text)}`,
      'text that the model’s tokens spell, or a phrase that it was taught',
      'Correct the text, or leave the recording out.',
    );
  }
  return tokens;
}

/**
 * Checks what a phrase is taught from, and finds what is said in it.
 *
 * @throws RillError `bad-argument`, `bad-audio`.
 */
export function prepareMaterials(
  { config }: Model,
  table: TokenTable,
  { recordings, speech, negatives = [], rehearsal = [] }: TeachOptions,
): Materials {
  const { sampleRate } = config.features;
  if (recordings.length < LEAST_RECORDINGS) {
    throw unfit(`${recordings.length} recordings`, `at least ${LEAST_RECORDINGS}`, 'Record the phrase ten times.');
  }
  const found = (waveform: Waveform, { start, end }: Take): Saying => ({
    samples: atRate(waveform, sampleRate),
    ...{ start, end },
  });
  const phrases = recordings.map((each, i) => found(each, requireTake(each, `recording ${i + 1}`)));
  const isSaying = ({ samples, sampleRate: rate }: Waveform) => samples.length <= LONGEST_SAYING * rate;
  const sayings = negatives.filter(isSaying).map((each) => ({ waveform: each, take: checkTake(each) }));
  const others = [...speech, ...negatives.filter((each) => !isSaying(each))];
  const all = concatenated(others.map((each) => atRate(each, sampleRate)));
  if (all.length < LONG_SECONDS * sampleRate) {
    throw unfit(
      `${(all.length / sampleRate).toFixed(1)} s of other people’s speech`,
      `at least ${LONG_SECONDS} s; five minutes are good`,
      'Take weights/negatives/speech.wav of the package: without other speech the phrase is heard everywhere.',
    );
  }
  return {
    ...{ sampleRate, phrases, speech: all },
    negatives: sayings.filter(({ take }) => take.problem !== 'silent').map((each) => found(each.waveform, each.take)),
    rehearsal: alike(rehearsal, table).map(([tokens, waveforms]) => ({
      tokens,
      sayings: waveforms.map((each) => found(each, checkTake(each))),
    })),
  };
}

/** Recordings by what is said in them. */
function alike(rehearsal: readonly Rehearsal[], table: TokenTable): [tokens: readonly number[], Waveform[]][] {
  const groups = new Map<string, [readonly number[], Waveform[]]>();
  for (const { waveform, text } of rehearsal) {
    const tokens = tokensOf(text, table);
    const group = groups.get(tokens.join()) ?? [tokens, []];
    groups.set(tokens.join(), group);
    group[1].push(waveform);
  }
  return [...groups.values()];
}
