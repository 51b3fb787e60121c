import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelsOf } from '../../src/webgpu/tuning/candidates.ts';
import { openRuntime, type Runtime } from '../../tools/runtime/runtime.ts';
import { GOLDEN_CASES, readFixture, readGolden } from '../support/fixtures.ts';
import { testsAll } from '../support/scope.ts';

interface Decoded {
  tokens: number[];
  frames: number[];
}

describe('from features to PyTorch’s tokens', () => {
  let runtime: Runtime;

  beforeAll(async () => {
    runtime = await openRuntime({ runtime: 'node', device: 'webgpu' });
  });
  afterAll(() => runtime.close());

  const cases = GOLDEN_CASES.flatMap((golden) => [1, 4, undefined].map((chunkFrames) => ({ golden, chunkFrames })));
  const isShort = ({ golden, chunkFrames }: (typeof cases)[number]) => golden === 'odd' && chunkFrames === 4;

  it.each(testsAll ? cases : cases.filter(isShort))(
    '$golden, $chunkFrames frames a chunk',
    async ({ golden, chunkFrames }) => {
      const { model, features, lengths, numFeatures } = await readGolden(golden);
      const decoded = JSON.parse(
        new TextDecoder().decode(await readFixture(`golden/${golden}/decoded.json`)),
      ) as Record<string, Decoded[]>;
      const able = await runtime.run('methods', { model, dtype: 'f32' });
      const inWaves = testsAll && able.includes('waves') ? [['greedy_search', 'gpu', kernelsOf('waves')] as const] : [];
      expect(able.includes('waves')).toBe(golden !== 'noproj');
      for (const [method, greedySearchOn, kernels] of [
        ['greedy_search', 'cpu'],
        ['greedy_search', 'gpu'],
        ...(chunkFrames === 4 ? inWaves : []),
        ['modified_beam_search', undefined],
      ] as const) {
        const results = await runtime.run('decode', {
          model,
          features,
          featureWidth: numFeatures,
          lengths,
          chunkFrames,
          method,
          kernels,
          options: { greedySearchOn },
        });
        expect(
          results.map(({ tokens, frames }) => ({ tokens, frames })),
          `${method} ${greedySearchOn} ${kernels?.matrices}`,
        ).toEqual(decoded[method].map(({ tokens, frames }) => ({ tokens, frames })));
      }
    },
  );
});
