import type { Engine } from '../../encoder/engine.ts';
import { gpuOf } from '../../gpu-of.ts';
import { WasmEngine } from '../../wasm/engine.ts';
import { hasWasm } from '../../wasm/kernels.ts';

/** What layers that are not trained run on: the CPU where it plays the GPU, which takes a fourteenth of the time. */
export async function forwardEngine(engine: Engine): Promise<Engine> {
  const isPlayed = !(engine instanceof WasmEngine) && gpuOf(engine).isSoftware && (await hasWasm());
  return isPlayed ? new WasmEngine('faster than a software adapter') : engine;
}
