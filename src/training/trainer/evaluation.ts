import { createDecoder } from '../../decoder/methods.ts';
import { TransducerJoiner } from '../../decoder/joiner.ts';
import { RillError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';
import { encoderFrames } from '../../model/sizes.ts';
import { wordErrors, type WordErrors } from '../../text/word-errors.ts';
import type { Head } from '../losses/targets.ts';
import type { TrainingNetwork } from '../network.ts';
import { batchOf } from './batches.ts';
import type { Dataset } from './dataset.ts';
import type { Evaluation } from './runs.ts';

/** A greedy search over the head that is trained. */
async function greedySearch(model: Model, head: Head): Promise<(output: Float32Array) => number[]> {
  const { config, sizes } = model;
  const options = { vocabSize: sizes.vocabSize ?? 0, blankId: config.blankId, unkId: config.unkId };
  const transducer = head === 'transducer' ? await TransducerJoiner.load(model) : undefined;
  return (output) => {
    const decoder = createDecoder(head === 'ctc' ? 'ctc_greedy' : 'greedy_search', options, { transducer });
    decoder.accept(output);
    return decoder.tokens.map(({ id }) => id);
  };
}

/**
 * Losses of all recordings and what is heard of them.
 *
 * @param network without dropout
 * @param model as the network is now
 * @param batches places of the recordings, in batches that there is room for
 * @throws RillError `device-lost`, `gpu`, and what reading recordings throws
 */
export async function evaluateOn(
  network: TrainingNetwork,
  model: Model,
  dataset: Dataset,
  batches: readonly (readonly number[])[],
  { head, signal }: { head: Head; signal?: AbortSignal },
): Promise<Evaluation> {
  const search = await greedySearch(model, head);
  const { utterances } = dataset;
  const words: WordErrors = { words: 0, substitutions: 0, insertions: 0, deletions: 0 };
  let [sum, frames] = [0, 0];
  for (const members of batches) {
    signal?.throwIfAborted();
    const features = await Promise.all(members.map((n) => dataset.features(n)));
    const targets = members.map((n) => utterances[n].tokens);
    const batch = batchOf(features, targets, model.sizes.encoder.numFeatures);
    network.submit(batch, { reduction: 'sum' }, { isTrained: false });
    const [{ losses }, outputs] = await Promise.all([network.losses(), network.outputs()]);
    members.forEach((n, i) => {
      const errors = wordErrors(utterances[n].text, textOf(model, search(outputs[i])));
      for (const key of Object.keys(words) as (keyof WordErrors)[]) {
        words[key] += errors[key];
      }
      sum += losses[i];
      frames += encoderFrames(batch.lens[i]);
    });
  }
  const wrong = words.substitutions + words.insertions + words.deletions;
  return {
    loss: sum / utterances.length,
    lossPerFrame: sum / frames,
    words,
    wordErrorRate: words.words > 0 ? wrong / words.words : null,
  };
}

function textOf({ tokens }: Model, ids: readonly number[]): string {
  if (!tokens) {
    throw new RillError('internal', {
      got: 'a set without tokens',
      expected: 'its model’s',
      remedy: 'Please report this.',
    });
  }
  return tokens.text(ids);
}
