import { writeKernels } from '../../tools/generate-kernels.ts';
import { writeWasm } from '../../tools/generate-wasm.ts';

export default async function generate(): Promise<void> {
  await Promise.all([writeKernels(), writeWasm()]);
}
