/** From a model's bytes at hand to the first result, and what memory that adds; in a page and in Node. */
import type { Model } from '../../src/model/model.ts';
import type { Contender, Create } from './contenders.ts';
import { windows, type StepSize } from './step-size.ts';

/** What is loaded for. */
export const LOADED_FOR: StepSize = { streams: 1, frames: 4 };

export interface Loaded {
  /** From the bytes of the model, or of the ONNX graph, to the result of the first step. */
  loadMs: number;
  /** Bytes that the contender says it takes, by part. */
  memory: Readonly<Record<string, number>>;
}

export interface Watch {
  before?: () => void;
  after?: (contender: Contender, next: () => Float32Array) => Promise<void>;
}

/**
 * Loads a contender in a page or process where nothing of it was loaded before; its script counts as there.
 *
 * @param readModel reads what is in memory; counted for a contender that reads model folders
 * @param hasOwnFile whether it reads another file instead, which is made before
 * @param watch called right before it is loaded, and with it before it is given back
 */
export async function measureLoad(
  readModel: () => Model,
  create: Create,
  hasOwnFile: boolean,
  watch: Watch = {},
): Promise<Loaded> {
  const { numFeatures } = readModel().sizes.encoder;
  const next = windows(numFeatures, LOADED_FOR);
  const features = next();
  const ready = hasOwnFile ? await create(readModel(), LOADED_FOR) : undefined;
  watch.before?.();
  const start = performance.now();
  const open = ready ?? (await create(readModel(), LOADED_FOR));
  const contender = await open();
  await contender.step(features);
  const loadMs = performance.now() - start;
  await watch.after?.(contender, next);
  const memory = Object.fromEntries(contender.memory ?? []);
  await contender.dispose();
  return { loadMs, memory };
}
