import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFirefox } from '../../src/node/browsers.mjs';
import { openRuntime, type Runtime, type RuntimeName } from '../../tools/runtime/runtime.ts';
import { largestDifference } from '../support/close.ts';
import { TRAINING_CASES, trainingCase } from '../support/training.ts';

/** Of a tensor's largest gradient; PyTorch's own float32 is off by up to 1.1e-5. */
const GRADIENT_SHARE = 1e-4;
/** One number out of much cancellation: PyTorch's own float32 is off by 3e-4. */
const EPS_SHARE = 2e-3;
const LOSS_SHARE = 1e-5;

const RUNTIMES: RuntimeName[] = ['node', 'chrome', ...(findFirefox() ? (['firefox'] as const) : [])];
const rows: string[] = [];

describe.each(RUNTIMES)('gradients in %s', (name) => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await openRuntime({ runtime: name, device: 'webgpu' });
  });
  afterAll(() => runtime.close());

  it.each(TRAINING_CASES.flatMap((each) => [[each, 'eval'] as const, [each, 'train'] as const]))(
    'are PyTorch’s: %s, %s',
    async (caseName, mode) => {
      const { config, files, features, lens, targets, draws, ...expected } = await trainingCase(caseName);
      const { grads, lossPerUtterance, reduction } = expected[mode];
      const isTrained = mode === 'train';
      const { losses, tensors } = await runtime.run('gradients', {
        ...{ model: files, features: features.data, lens, targets, reduction },
        dropout: isTrained ? config.dropout : 0,
        auxLayers: isTrained ? config.auxLayers : [],
        ...(isTrained && { draws }),
      });
      const loss = Math.max(...losses.map((each, n) => Math.abs(each / (lossPerUtterance[n] || 1) - 1)));
      const shares = Array.from(grads, ([tensor, { data }]) => {
        const actual = tensors.find((each) => each.name === tensor)?.values ?? new Float32Array(0);
        const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        return { tensor, share: largestDifference(actual, data) / largest };
      });
      const of = (isEps: boolean) => shares.filter(({ tensor }) => tensor.endsWith('norm_final.eps') === isEps);
      const most = (some: typeof shares) => Math.max(...some.map(({ share }) => share));
      const [matrices, eps] = [most(of(false)), most(of(true))];
      rows.push(
        `${name} ${caseName} ${mode}: losses ${loss.toExponential(1)}, gradients ${matrices.toExponential(1)}, eps ${eps.toExponential(1)}`,
      );
      expect(shares.length).toBeGreaterThan(25);
      expect(loss).toBeLessThan(LOSS_SHARE);
      expect(matrices).toBeLessThan(GRADIENT_SHARE);
      expect(eps).toBeLessThan(EPS_SHARE);
    },
  );
});

afterAll(() => {
  console.log(rows.join('\n'));
});
