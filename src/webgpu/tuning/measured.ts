import type { WeightDtype } from '../../model/dtypes.ts';
import type { AdapterDescription } from '../device/context.ts';
import type { KernelChoice } from '../methods.ts';

/** Kernels that won every rehearsal of an adapter, whatever the model's size and the number of streams. */
interface Measured {
  /** In any of the words by which the adapter describes itself. */
  adapter: RegExp;
  kernels: Partial<Record<WeightDtype, KernelChoice>>;
}

const QUADS: KernelChoice = { convolutions: 'quads', matrices: 'quads' };
const TEXELS: KernelChoice = { convolutions: 'texels', matrices: 'texels' };

/** The figures stand in docs/kernels.md. What is not here depends on the model's size, or was not measured. */
const MEASURED: readonly Measured[] = [
  { adapter: /swiftshader/i, kernels: { f32: QUADS, f16: QUADS } },
  { adapter: /llvmpipe|lavapipe/i, kernels: { f32: TEXELS } },
];

/** The kernels to take without a rehearsal, where the adapter is one that was measured. */
export function measuredKernels(
  { vendor, architecture, device, description }: AdapterDescription,
  dtype: WeightDtype,
): KernelChoice | undefined {
  const words = [vendor, architecture, device, description].join(' ');
  return MEASURED.find(({ adapter }) => adapter.test(words))?.kernels[dtype];
}
