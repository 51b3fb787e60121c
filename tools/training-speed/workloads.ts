import { layerPrefix } from '../../src/training/layout.ts';
import { BATCH, LONG_SECONDS, SHORT_SECONDS, TRAINED_LAYERS } from '../../src/training/teach/recipe.ts';
import type { EncoderSizes } from '../../src/model/sizes.ts';

/** Utterances of one length that go through the network side by side. */
export interface MicroBatch {
  utterances: number;
  seconds: number;
}

/** A step that is measured. */
export interface Workload {
  name: string;
  /** Their gradients are added up. */
  batches: readonly MicroBatch[];
  /** The first layer that runs: what is below was computed once, as in teaching. */
  from?: number;
  /** Prefixes of what is trained; all by default. */
  trainable?: readonly string[];
}

/** A step of teaching a phrase: short recordings, and long ones; the last two layers and the head. */
export function teachStep({ numEncoderLayers: layers }: Pick<EncoderSizes, 'numEncoderLayers'>): Workload {
  const from = Math.max(layers - TRAINED_LAYERS, 0);
  const names = Array.from({ length: layers - from }, (_, i) => `${layerPrefix(from + i)}.`);
  const batches = [
    { utterances: BATCH.phrase + BATCH.rehearsal + BATCH.short, seconds: SHORT_SECONDS },
    { utterances: BATCH.long, seconds: LONG_SECONDS },
  ];
  return { name: 'teach', batches, from, trainable: [...names, 'ctc_output.'] };
}

/** A step of fine-tuning all of a model. */
export const fineTuneStep = (batch: MicroBatch = { utterances: 8, seconds: 3 }): Workload => ({
  name: 'fine-tune',
  batches: [batch],
});
