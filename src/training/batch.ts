import type { DrawStep, Draws } from './draws.ts';
import type { TargetBatch } from './losses/targets.ts';

/** Utterances with what they should say. What is drawn for them is needed with dropout or RandomCombine. */
export interface TrainingBatch extends TargetBatch {
  /** (N, T, num_features), utterance by utterance; what pads is not read. */
  features?: Float32Array;
  /** In their place for a network that begins at a layer: (N, T', d_model), that layer's input, T' encoder frames of the longest. */
  hidden?: Float32Array;
  /**
   * What is random, or by which seed and count it is drawn: needed with dropout, layer dropout and RandomCombine, of which
   * there is none without it.
   */
  draws?: Draws | DrawStep;
  /** How far training has come: 0 at its start, 1 and more behind its warm-up, which is the default. For layer dropout. */
  warmup?: number;
}

/** A batch by the input of the layer that a network begins at. */
export type HiddenBatch = TrainingBatch & Required<Pick<TrainingBatch, 'hidden'>>;
