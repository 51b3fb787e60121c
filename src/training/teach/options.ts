import type { Engine } from '../../encoder/engine.ts';
import type { Model } from '../../model/model.ts';
import type { Waveform } from '../../waveform/waveform.ts';
import type { PoolCounts } from './recipe.ts';

/** A recording, and what is said in it. */
export interface Rehearsal {
  /** Any rate; what is said in it is found as in a take. */
  waveform: Waveform;
  /** As the model's tokens spell it, or a phrase that it was taught. */
  text: string;
}

/** How far teaching is. */
export type TeachProgress =
  | {
      /** What is learned from is put together, and taken through the layers that stay as they are. */
      stage: 'prepare';
      /** Recordings that are ready. */
      done: number;
      /** All recordings. */
      total: number;
    }
  | {
      /** The last layers learn. */
      stage: 'train';
      /** Steps that were taken. */
      done: number;
      /** All steps. */
      total: number;
      /** Of the last step: the sum of all recordings' losses, over nine. */
      loss: number;
    }
  | {
      /** The device was lost: another one is opened, and training goes on from the step that was kept last. */
      stage: 'resume';
      /** The step that was kept last. */
      done: number;
      /** All steps. */
      total: number;
    };

/** What a phrase is taught from. */
export interface TeachOptions {
  /** It needs a CTC head and tokens, and at least two layers. */
  model: Model;
  /** As it is to be reported: `hey rill`. */
  phrase: string;
  /** The phrase, said once in each; ten are good, fewer than five not enough. */
  recordings: readonly Waveform[];
  /**
   * Minutes of other people's speech in which the phrase does not occur. Without it the phrase would be heard everywhere;
   * `weights/negatives/speech.wav` of the package is such speech.
   */
  speech: readonly Waveform[];
  /** What must not be taken for the phrase: words that sound alike, said once in each. */
  negatives?: readonly Waveform[];
  /** Recordings of what the model is to know as before: its old phrases, one of each at least. What is not among them fades. */
  rehearsal?: readonly Rehearsal[];
  /**
   * What to train on, which stays open: the GPU of an engine that has one, or the CPU. Where it is lost, so is the training.
   */
  engine?: Engine;
  /**
   * In its place: opens what to train on; it is called again when the device is lost, and what it opened is given back at
   * the end. `openEngine()` by default: the GPU where there is one, else the CPU.
   */
  openEngine?: () => Promise<Engine>;
  /** A whole number: the same one gives the same folder on the same device. 0 by default. */
  seed?: number;
  /** Steps of training; 400 by default, and fewer do worse. */
  steps?: number;
  /** @internal What is put together to learn from, where it is to be less. */
  counts?: PoolCounts;
  /** Called for every recording that is ready, and every step. */
  onProgress?: (progress: TeachProgress) => void;
  /** Ends it; what it is aborted with is thrown. */
  signal?: AbortSignal;
}
