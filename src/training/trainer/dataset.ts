import { fbank, frameShiftOf, type FbankOptions } from '../../features/fbank.ts';
import { RillError, shown } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import { encoderFrames } from '../../model/sizes.ts';
import { resampled } from '../../waveform/resampler.ts';
import { framesNeeded } from '../losses/targets.ts';
import { checkWaveform, type Waveform } from '../../waveform/waveform.ts';

/** A recording with what is said in it. */
export interface TrainingRecording {
  /** Its sound, or how to read it; it is read again for each epoch. */
  audio: Waveform | (() => Promise<Waveform>);
  /** What is said in it. */
  text: string;
  /** How long it is; read once to find out, by default. */
  seconds?: number;
  /** For messages; its place by default. */
  name?: string;
}

/** A recording as training has it. */
export interface TrainingUtterance {
  /** For messages. */
  name: string;
  /** What is said in it. */
  text: string;
  /** How long it is. */
  seconds: number;
  /** Its text as the model's tokens. */
  tokens: readonly number[];
  /** At the model's sample rate. */
  read: () => Promise<Waveform>;
}

/** A recording that cannot be trained on, and why. */
export interface RefusedRecording {
  /** Which one. */
  name: string;
  /** In words. */
  reason: string;
}

/** Recordings with their texts, for one model. */
export class Dataset {
  /** Those that are trained on, or validated. */
  readonly utterances: readonly TrainingUtterance[];
  /** Those that are left out: whose text the tokens cannot spell, or that are too short for it. */
  readonly refused: readonly RefusedRecording[];
  /** Whose tokens spell their texts. */
  readonly model: Model;

  private constructor(model: Model, utterances: readonly TrainingUtterance[], refused: readonly RefusedRecording[]) {
    this.model = model;
    this.utterances = utterances;
    this.refused = refused;
  }

  /**
   * Finds out how long recordings are, and how the model spells their texts.
   *
   * @param onRead called after each
   * @throws RillError `bad-model` without tokens, `bad-argument` where none is left, `bad-audio`, and what reading throws.
   */
  static async open(
    model: Model,
    recordings: readonly TrainingRecording[],
    onRead?: (done: number, total: number) => void,
  ): Promise<Dataset> {
    const { tokens: table, config } = model;
    if (!table) {
      throw new RillError('bad-model', {
        got: 'a model without tokens.txt',
        expected: 'tokens that texts are spelt with',
        remedy: 'Put the tokens.txt of the model into its folder.',
      });
    }
    const utterances: TrainingUtterance[] = [];
    const refused: RefusedRecording[] = [];
    for (const [n, recording] of recordings.entries()) {
      const { text, name = `recording ${n}` } = recording;
      const tokens = table.encode(text);
      const read = async () => resampled(await soundOf(recording), config.features.sampleRate);
      const seconds = recording.seconds ?? secondsOf(await read());
      const frames = framesOf(seconds, config.features);
      if (!tokens) {
        refused.push({ name, reason: `the model's tokens cannot spell ${shown(text)}` });
      } else if (frames < Math.max(1, framesNeeded(tokens))) {
        refused.push({ name, reason: `${seconds.toFixed(2)} s are too short for ${shown(text)}` });
      } else {
        utterances.push({ name, text, seconds, tokens, read });
      }
      onRead?.(n + 1, recordings.length);
    }
    if (utterances.length === 0) {
      const [first] = refused;
      throw new RillError('bad-argument', {
        got: refused.length === 0 ? 'no recordings' : `no recording to train on (${first.name}: ${first.reason})`,
        expected: 'one at least, with a text that its model can spell',
        remedy: 'List recordings with what is said in them, in the letters of tokens.txt.',
      });
    }
    return new Dataset(model, utterances, refused);
  }

  /** Seconds of all recordings. */
  get seconds(): number {
    return this.utterances.reduce((sum, { seconds }) => sum + seconds, 0);
  }

  /** The features of a recording, (frames, num_features). @throws RillError `bad-audio`, and what reading it throws. */
  async features(n: number): Promise<Float32Array<ArrayBuffer>> {
    const { samples } = await this.utterances[n].read();
    return fbank(samples, this.model.config.features);
  }
}

/** Encoder frames of a recording, one more at most. */
export const framesOf = (seconds: number, options: FbankOptions) =>
  encoderFrames(Math.ceil((seconds * options.sampleRate) / frameShiftOf(options)) + 1);

const secondsOf = ({ samples, sampleRate }: Waveform) => samples.length / sampleRate;

async function soundOf({ audio }: TrainingRecording): Promise<Waveform> {
  const sound = typeof audio === 'function' ? await audio() : audio;
  checkWaveform(sound);
  return sound;
}
