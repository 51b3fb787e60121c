import { secondsPerFrame, type ModelConfig } from '../../model/config.ts';
import { amplified, levelOf } from '../augment/level.ts';
import { mixed } from '../augment/mix.ts';
import { noise } from '../augment/noise.ts';
import type { Randoms } from '../augment/randoms.ts';
import { withSpeed } from '../augment/speed.ts';
import type { Target } from '../losses/targets.ts';
import type { Materials, Saying } from './materials.ts';
import {
  BEGUN_SHARE,
  ENDED_SHARE,
  LEAST_TAIL,
  LONG_SECONDS,
  NEGATIVES_SHARE,
  OTHER_SPEECH_SHARE,
  SHORT_SECONDS,
  SPIKE_WINDOW,
  STREAMED_SHARE,
  VARIETY,
} from './recipe.ts';

/** A piece of sound, and what it says. */
export interface Segment {
  samples: Float32Array;
  target: Target;
}

/** Speeds that are drawn from, between one and double. */
const SPEEDS = 50;

/** What a saying stands in: a short segment, or a long one with other speech before and after it. */
type Surroundings = 'short' | 'stream';

/** A saying within a segment. */
interface Placed {
  samples: Float32Array;
  /** Seconds to its end. */
  end: number;
}

const between = (randoms: Randoms, [low, high]: readonly [number, number]) => randoms.uniform(low, high);
const oneOf = <Each>(randoms: Randoms, list: readonly Each[]) => list[randoms.integer(0, list.length)];

/** Seconds of a short segment: long enough for the longest saying, said as slowly as it may be. */
export function shortSeconds({ phrases, negatives, rehearsal }: Materials): number {
  const sayings = [...phrases, ...negatives, ...rehearsal.flatMap((each) => each.sayings)];
  const longest = Math.max(...sayings.map(({ start, end }) => end - start));
  const [slowest] = VARIETY.speed;
  return Math.max(SHORT_SECONDS, (longest + 2 * VARIETY.margin[1]) / slowest + LEAST_TAIL);
}

/** Makes segments of what there is to learn from, each new as its random numbers are. */
export class SegmentMaker {
  readonly #materials: Materials;
  readonly #secondsPerFrame: number;
  readonly #shortLength: number;
  readonly #longLength: number;

  constructor(materials: Materials, config: ModelConfig) {
    this.#materials = materials;
    this.#secondsPerFrame = secondsPerFrame(config);
    this.#shortLength = Math.round(shortSeconds(materials) * materials.sampleRate);
    this.#longLength = Math.round(LONG_SECONDS * materials.sampleRate);
  }

  /** The phrase, whose token falls near its end. */
  phrase(randoms: Randoms, token: number, within: Surroundings = 'short'): Segment {
    const { samples, end } = this.#placed(randoms, oneOf(randoms, this.#materials.phrases), { within });
    const frame = Math.floor(end / this.#secondsPerFrame);
    const window = [Math.max(0, frame - SPIKE_WINDOW.before), frame + SPIKE_WINDOW.behind + 1] as const;
    return { samples, target: { token, window } };
  }

  /** What the model knows already, each phrase as often as any other. */
  rehearsal(randoms: Randoms, within: Surroundings = 'short'): Segment {
    const { tokens, sayings } = oneOf(randoms, this.#materials.rehearsal);
    return { samples: this.#placed(randoms, oneOf(randoms, sayings), { within }).samples, target: tokens };
  }

  /** What says nothing: other speech, what must not be taken for the phrase, or a phrase that is not ended. */
  short(randoms: Randoms): Segment {
    const { phrases, negatives } = this.#materials;
    const kind = randoms.uniform(0, 1);
    const saying = (sayings: readonly Saying[], part?: number) =>
      this.#placed(randoms, oneOf(randoms, sayings), { part }).samples;
    if (kind < BEGUN_SHARE) {
      return { samples: saying(phrases, between(randoms, VARIETY.begun)), target: [] };
    }
    if (negatives.length > 0 && kind < BEGUN_SHARE + NEGATIVES_SHARE) {
      return { samples: saying(negatives), target: [] };
    }
    // Silence behind speech, which every phrase has in the pool, is not to be its mark.
    const samples = randoms.chance(ENDED_SHARE)
      ? this.#placed(randoms, this.#stretch(randoms)).samples
      : this.#speech(randoms, this.#shortLength);
    return { samples, target: [] };
  }

  /**
   * Other speech, as in a stream. In some of it the phrase is said, or what the model knows already: else nothing would ever
   * be said in a stream, and the layers would learn that.
   */
  long(randoms: Randoms, token: number): Segment {
    const kind = randoms.uniform(0, 1);
    if (kind < STREAMED_SHARE) {
      return this.phrase(randoms, token, 'stream');
    }
    if (kind < 2 * STREAMED_SHARE && this.#materials.rehearsal.length > 0) {
      return this.rehearsal(randoms, 'stream');
    }
    return { samples: this.#speech(randoms, this.#longLength), target: [] };
  }

  /** @param part how much of it is said, from its start */
  #placed(
    randoms: Randoms,
    { samples, start, end }: Saying,
    { part = 1, within = 'short' }: { part?: number; within?: Surroundings } = {},
  ): Placed {
    const { sampleRate } = this.#materials;
    const at = (seconds: number) => Math.max(0, Math.min(samples.length, Math.round(seconds * sampleRate)));
    const first = start - between(randoms, VARIETY.margin);
    const last = part < 1 ? start + part * (end - start) : end + between(randoms, VARIETY.margin);
    const said = this.#atSomeSpeed(randoms, samples.subarray(at(first), at(last)));
    const length = within === 'short' ? this.#shortLength : this.#longLength;
    const room = length - said.length;
    const tail = randoms.uniform(Math.min(LEAST_TAIL * sampleRate, room), room);
    const offset = Math.max(0, Math.floor(room - tail));
    const loud = amplified(said, between(randoms, VARIETY.gain));
    const segment = new Float32Array(length);
    segment.set(loud.subarray(0, length - offset), offset);
    const level = levelOf(loud);
    const pause = () => Math.round(between(randoms, VARIETY.pause) * sampleRate);
    if (within === 'stream' || randoms.chance(OTHER_SPEECH_SHARE)) {
      segment.set(this.#beside(randoms, Math.max(0, offset - pause()), level), 0);
    }
    if (within === 'stream') {
      const from = Math.min(length, offset + said.length + pause());
      segment.set(this.#beside(randoms, length - from, level), from);
    }
    // What was kept behind the phrase is slower or faster as it is.
    const behind = (Math.max(0, last - end) * said.length) / Math.max(1, at(last) - at(first));
    return { samples: this.#withNoise(randoms, segment), end: (offset + said.length) / sampleRate - behind };
  }

  /** Other speech, about as loud as what is said beside it. */
  #beside(randoms: Randoms, length: number, level: number): Float32Array {
    const other = this.#slice(randoms, length);
    const otherLevel = levelOf(other);
    const louder = between(randoms, VARIETY.otherSpeech);
    return otherLevel === -Infinity ? other : amplified(other, level - otherLevel + louder);
  }

  #speech(randoms: Randoms, length: number): Float32Array {
    const said = this.#atSomeSpeed(randoms, this.#slice(randoms, Math.ceil(length * VARIETY.speed[1])));
    return this.#withNoise(randoms, amplified(said.subarray(0, length), between(randoms, VARIETY.gain)));
  }

  /** One of a few speeds: between their rates resampling is cheap. */
  #atSomeSpeed(randoms: Randoms, samples: Float32Array): Float32Array {
    const speed = Math.round(between(randoms, VARIETY.speed) * SPEEDS) / SPEEDS;
    return withSpeed({ samples, sampleRate: this.#materials.sampleRate }, speed).samples;
  }

  /** Other speech, about as long as the phrase. */
  #stretch(randoms: Randoms): Saying {
    const { sampleRate, phrases } = this.#materials;
    const { start, end } = oneOf(randoms, phrases);
    const samples = this.#slice(randoms, Math.round((end - start) * sampleRate));
    return { samples, start: 0, end: samples.length / sampleRate };
  }

  #slice(randoms: Randoms, length: number): Float32Array {
    const { speech } = this.#materials;
    const from = randoms.integer(0, Math.max(1, speech.length - length));
    return speech.subarray(from, from + length);
  }

  #withNoise(randoms: Randoms, samples: Float32Array): Float32Array {
    const colour = randoms.chance(0.5) ? 'white' : 'pink';
    const level = between(randoms, VARIETY.noise);
    const noisy = mixed(samples, noise(randoms, { length: samples.length, colour, level }));
    return noisy.map((sample) => Math.max(-1, Math.min(1, sample)));
  }
}
