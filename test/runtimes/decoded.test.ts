import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRuntime, type Runtime } from '../../tools/runtime/runtime.ts';
import { GOLDEN_CASES, readFixture, readGolden } from '../support/fixtures.ts';

interface Decoded {
  tokens: number[];
  frames: number[];
}

describe('from features to PyTorch’s tokens', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await openRuntime('node');
  });
  afterAll(() => runtime.close());

  it.each(GOLDEN_CASES.flatMap((golden) => [1, 4, undefined].map((chunkFrames) => ({ golden, chunkFrames }))))(
    '$golden, $chunkFrames frames a chunk',
    async ({ golden, chunkFrames }) => {
      const { model, features, lengths, numFeatures } = await readGolden(golden);
      const decoded = JSON.parse(
        new TextDecoder().decode(await readFixture(`golden/${golden}/decoded.json`)),
      ) as Record<string, Decoded[]>;
      for (const [method, greedySearchOn] of [
        ['greedy_search', 'cpu'],
        ['greedy_search', 'gpu'],
        ['modified_beam_search', undefined],
      ] as const) {
        const results = await runtime.run('decode', {
          model,
          features,
          featureWidth: numFeatures,
          lengths,
          chunkFrames,
          method,
          options: { greedySearchOn },
        });
        expect(
          results.map(({ tokens, frames }) => ({ tokens, frames })),
          `${method} ${greedySearchOn}`,
        ).toEqual(decoded[method].map(({ tokens, frames }) => ({ tokens, frames })));
      }
    },
  );
});
