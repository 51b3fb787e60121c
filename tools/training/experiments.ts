import { RillError, shown } from '../../src/errors.ts';
import { resolveOptions, type TrainerOptions } from '../../src/training/trainer/options.ts';
import { parseJson } from '../../src/model/config.ts';
import { readText } from '../files.ts';

/** One of several trainings to compare: a model from scratch, or a model folder, and how to train it. */
export interface Experiment {
  name: string;
  /** Layers and width, such as `6x256`. */
  config?: string;
  /** A model folder, in its place. */
  model?: string;
  options: TrainerOptions;
}

const bad = (path: string, got: unknown, expected: string) =>
  new RillError('bad-argument', {
    got: `${path} with ${shown(got)}`,
    expected,
    remedy: 'Write {"experiments": [{"name": "small", "config": "6x256", "learningRate": 0.003}, …]}.',
  });

/**
 * Reads a file of experiments: `{ "experiments": [{ "name", "config" or "model", … }] }`, what else is stated being options of the
 * trainer.
 *
 * @throws RillError `bad-argument`.
 */
export async function readExperiments(path: string): Promise<Experiment[]> {
  const { experiments } = parseJson(await readText(path), path);
  if (!Array.isArray(experiments) || experiments.length === 0) {
    throw bad(path, experiments, 'experiments: one at least');
  }
  const names = new Set<string>();
  return experiments.map((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) {
      throw bad(path, entry, 'an object for each experiment');
    }
    const { name, config, model, ...options } = entry as Record<string, unknown>;
    const source = config ?? model;
    const isNamed = typeof name === 'string' && /^\w[\w.-]*$/.test(name);
    if (!isNamed || typeof source !== 'string' || (config !== undefined && model !== undefined)) {
      throw bad(path, entry, 'a name of letters, digits, dots and dashes, and either config or model');
    }
    if (names.has(name)) {
      throw bad(path, name, 'each name once: it is the folder that is written');
    }
    names.add(name);
    resolveOptions(options);
    return { name, options, ...(config === undefined ? { model: source } : { config: source }) };
  });
}
