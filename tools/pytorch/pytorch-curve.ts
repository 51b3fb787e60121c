import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RillError } from '../../src/errors.ts';
import type { Model, ModelFiles } from '../../src/model/model.ts';
import { writeSafetensors } from '../../src/model/safetensors.ts';
import type { Dataset } from '../../src/training/trainer/dataset.ts';
import { epochBatches } from '../../src/training/trainer/sampler.ts';
import { writeFolder } from '../files.ts';

/** A training that Rill and PyTorch both do: Adam, the rate falling to 0 at the last step. */
export interface SharedRun {
  seed: number;
  maxSteps: number;
  batchSize: number;
  learningRate: number;
  betas: readonly [number, number];
  eps: number;
  maxGradNorm: number;
  dropout: number;
  layerDropout: number;
}

/** Precisions that PyTorch computes in. */
export const PYTORCH_DTYPES = ['float32', 'float64'] as const;
export type PyTorchLosses = Readonly<Record<(typeof PYTORCH_DTYPES)[number], readonly number[]>>;

/** The recordings of each step's batch, as the trainer takes them. */
function batchesOf({ utterances }: Dataset, { maxSteps, batchSize, seed }: SharedRun): number[][] {
  const seconds = utterances.map((each) => each.seconds);
  const batches: number[][] = [];
  for (let epoch = 0; batches.length < maxSteps; epoch++) {
    batches.push(...epochBatches(seconds, epoch, { batchSize, seed }));
  }
  return batches.slice(0, maxSteps);
}

/** Writes what pytorch_curve.py reads: the first weights, the features, and the batches, with no draw among them. */
export async function writeRun(folder: string, files: ModelFiles, dataset: Dataset, run: SharedRun): Promise<void> {
  const { sizes }: Model = dataset.model;
  const { numFeatures } = sizes.encoder;
  const features = await Promise.all(
    dataset.utterances.map(async (_, n) => {
      const values = await dataset.features(n);
      return {
        name: String(n),
        shape: [values.length / numFeatures, numFeatures],
        read: () => Promise.resolve(values),
      };
    }),
  );
  const about = {
    ...run,
    sizes: sizes.encoder,
    vocabSize: sizes.vocabSize,
    batches: batchesOf(dataset, run),
    targets: dataset.utterances.map(({ tokens }) => tokens),
  };
  await writeFolder(folder, {
    'model.safetensors': files['model.safetensors'],
    'features.safetensors': await writeSafetensors(features),
    'run.json': `${JSON.stringify(about)}\n`,
  });
}

/**
 * The losses of PyTorch's steps.
 *
 * @param python an interpreter that has PyTorch
 * @throws RillError `bad-argument` where it cannot be run.
 */
export async function pytorchLosses(python: string, folder: string): Promise<PyTorchLosses> {
  const script = fileURLToPath(new URL('pytorch_curve.py', import.meta.url));
  try {
    const { stdout } = await promisify(execFile)(python, [script, folder, '--dtypes', PYTORCH_DTYPES.join(',')]);
    return JSON.parse(stdout) as PyTorchLosses;
  } catch (cause) {
    const lines = (cause instanceof Error ? cause.message : String(cause)).trim().split('\n');
    throw new RillError('bad-argument', {
      got: `${python}, which does not run pytorch_curve.py (${lines[lines.length - 1]})`,
      expected: 'Python with PyTorch and NumPy',
      remedy: 'Install python3-torch, and name its interpreter by --python.',
    });
  }
}
