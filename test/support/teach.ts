/** A lesson that takes seconds: a network of two tiny layers, noise in the place of recordings. */
import { openNodeEngine } from '../../src/node/engine.ts';
import { TokenTable } from '../../src/model/tokens.ts';
import type { TeachOptions } from '../../src/training/teach/options.ts';
import { randomModel } from '../../tools/runtime/random-model.ts';
import { randoms } from './random.ts';

const sampleRate = 16_000;
const sizes = { dModel: 8, rnnHiddenSize: 12, dimFeedforward: 12, numEncoderLayers: 2 };

export const lessonTokens = TokenTable.parse('<blk> 0\n▁ 1\na 2\nb 3\n');

/** Half a second of loud noise in a second of faint. */
export function noisyTake(seed: number) {
  const samples = randoms(sampleRate, seed, 1e-3);
  samples.set(randoms(sampleRate / 2, seed + 100, 0.3), sampleRate / 4);
  return { samples, sampleRate };
}

export const tinyLesson: TeachOptions = {
  model: { ...randomModel(sizes, lessonTokens.size), tokens: lessonTokens, keywords: 'a b ▁ @ab' },
  phrase: ' hey  rill ',
  recordings: [1, 2, 3].map(noisyTake),
  speech: [{ samples: randoms(10 * sampleRate, 9, 0.1), sampleRate }],
  rehearsal: [{ waveform: noisyTake(4), text: 'ab' }],
  openEngine: () => openNodeEngine({ device: 'cpu' }),
  steps: 3,
  counts: { phrase: 2, rehearsal: 1, short: 1, long: 0 },
};
