/** What a step of a model takes on an engine, in the worker: the one in use, or another that is opened for it. */
import { openEngine, type DeviceInfo, type Encoder, type Engine, type Model, type WeightDtype } from 'rill-asr';

export interface TimingWanted {
  kind: DeviceInfo['kind'];
  dtype: WeightDtype;
  /** Encoder frames of a chunk. */
  frames: number;
}

export interface EngineTime {
  /** Of the device. */
  name: string;
  /** Milliseconds from features to embeddings, the median of some steps. */
  ms: number;
}

/** Steps that are timed after a first one that warms up, and how long they may take in all. */
const STEPS = 15;
const BUDGET_MS = 1000;
/** Feature frames of an encoder frame, and those of left context that the first chunk of a stream brings besides. */
const SUBSAMPLING = 4;
const CONTEXT = 5;

/**
 * Times steps of one stream, on an encoder of its own.
 *
 * @param inUse taken where it is of the wanted kind
 * @throws RillError as `openEngine`, `Engine.createEncoder` and `Encoder.step`.
 */
export async function timeStep(
  inUse: Engine,
  model: Model,
  { kind, dtype, frames }: TimingWanted,
): Promise<EngineTime> {
  const engine = await openEngine({
    device: inUse.device.kind === kind ? inUse : kind,
    rehearse: 'before',
  });
  try {
    const encoder = await engine.createEncoder(model, { dtype, maxFrames: frames, maxStreams: 1 });
    try {
      return { name: engine.device.name, ms: await medianStepMs(encoder, frames) };
    } finally {
      encoder.dispose();
    }
  } finally {
    if (engine !== inUse) {
      engine.dispose();
    }
  }
}

async function medianStepMs(encoder: Encoder, frames: number): Promise<number> {
  const state = encoder.createState();
  const times: number[] = [];
  const startedAt = performance.now();
  do {
    const rows = SUBSAMPLING * frames + (times.length === 0 ? CONTEXT : 0);
    // The numbers do not matter to the time, as long as they are finite.
    const features = new Float32Array(rows * encoder.sizes.numFeatures).fill(-8);
    const start = performance.now();
    await encoder.step([{ state, features }]);
    times.push(performance.now() - start);
    // Whoever speaks meanwhile does not wait for all steps.
    await new Promise((resolve) => setTimeout(resolve));
  } while (times.length < 2 || (times.length <= STEPS && performance.now() - startedAt < BUDGET_MS));
  const measured = times.slice(1).sort((a, b) => a - b);
  return measured[Math.floor(measured.length / 2)];
}
