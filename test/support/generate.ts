import { writeKernels } from '../../tools/generate-kernels.ts';
import { writeThread } from '../../tools/generate-thread.ts';

export default async function generate(): Promise<void> {
  await Promise.all([writeKernels(), writeThread()]);
}
