import { layerPrefix } from '../../src/training/layout.ts';
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

/** A step of teaching a phrase: four times the phrase, two that the model knew, three other and two long ones; the last two layers and the head. */
export function teachStep({ numEncoderLayers: layers }: Pick<EncoderSizes, 'numEncoderLayers'>): Workload {
  const from = Math.max(layers - 2, 0);
  const names = Array.from({ length: layers - from }, (_, i) => `${layerPrefix(from + i)}.`);
  const batches = [
    { utterances: 9, seconds: 2.4 },
    { utterances: 2, seconds: 10 },
  ];
  return { name: 'teach', batches, from, trainable: [...names, 'ctc_output.'] };
}

/** A step of fine-tuning all of a model. */
export const fineTuneStep = (batch: MicroBatch = { utterances: 8, seconds: 3 }): Workload => ({
  name: 'fine-tune',
  batches: [batch],
});
