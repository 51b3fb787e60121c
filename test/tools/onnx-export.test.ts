import { describe, expect, it } from 'vitest';
import { bytesSource } from '../../src/checkpoint/bytes.ts';
import { openCheckpoint } from '../../src/checkpoint/convert.ts';
import { openModel } from '../../src/model/model.ts';
import { expectedTensors } from '../../src/model/sizes.ts';
import { exportEncoder } from '../../tools/peers/onnx-export.ts';
import { expectSameBytes } from '../support/close.ts';
import { goldenModel, wakeWordsModel } from '../support/fixtures.ts';

describe('the encoder as ONNX', () => {
  it.each([
    { model: 'wake-words', frames: 4 },
    { model: 'odd', frames: 1 },
    { model: 'noproj', frames: 3 },
  ])('reads back as the weights of $model, in chunks of $frames', async ({ model: name, frames }) => {
    const files = name === 'wake-words' ? await wakeWordsModel() : await goldenModel(name);
    const { sizes, weights } = openModel(files);
    const onnx = await exportEncoder(openModel(files), frames);
    const { sizes: readSizes, folded } = await openCheckpoint(bytesSource(onnx), { config: files['config.json'] });
    expect(readSizes.encoder).toEqual(sizes.encoder);

    for (const tensor of expectedTensors({ encoder: sizes.encoder, hasCtc: false }).keys()) {
      const values = await folded.read(tensor);
      const stored = await weights.read(tensor);
      if (tensor.endsWith('.eps')) {
        expect(values[0], tensor).toBeCloseTo(stored[0], 5);
      } else if (tensor.endsWith('.bias_ih_l0')) {
        // The graph has the sum of both biases.
        const other = await weights.read(tensor.replace('_ih_', '_hh_'));
        const sum = stored.map((value, i) => value + other[i]);
        expectSameBytes(values, sum, tensor);
      } else {
        expectSameBytes(values, tensor.endsWith('.bias_hh_l0') ? stored.fill(0) : stored, tensor);
      }
    }
  });
});
