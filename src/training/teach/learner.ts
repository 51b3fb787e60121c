import type { Engine } from '../../encoder/engine.ts';
import { gpuOf } from '../../gpu-of.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { CpuLearner } from './cpu-learner.ts';
import { GpuLearner } from './gpu-learner.ts';
import type { Learner, LearnerTask } from './learning.ts';

/**
 * What trains on an engine's device.
 *
 * @throws RillError `bad-model` without a CTC head; `device-lost`, `gpu`, `shader`; `no-wasm`, `no-memory`.
 */
export const createLearner = (engine: Engine, task: LearnerTask): Promise<Learner> =>
  engine instanceof WasmEngine ? CpuLearner.create(task) : GpuLearner.create(gpuOf(engine), task);
