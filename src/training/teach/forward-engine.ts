import type { Engine } from '../../encoder/engine.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { hasWasm } from '../../wasm/kernels.ts';
import { gpuOf } from '../../gpu-of.ts';

/** What layers that are not trained run on: the CPU where it plays the GPU, which takes a fourteenth of the time. */
export const forwardEngine = async (engine: Engine): Promise<Engine> =>
  gpuOf(engine).isSoftware && (await hasWasm()) ? new WasmEngine('faster than a software adapter') : engine;
