import * as kernels from './kernels.generated.ts';

/** How what a layer keeps of its way forward is kept. */
export const PRECISIONS = ['f32', 'f16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Kernels that read or write what is kept, by how it is kept. */
export const KEEPING_KERNELS = {
  f32: {
    add: kernels.add,
    bypass: kernels.bypass,
    bypassGradient: kernels.bypassGradient,
    combine: kernels.combine,
    lstmCarry: kernels.lstmCarry,
    lstmCarryGradient: kernels.lstmCarryGradient,
    residual: kernels.residual,
    swish: kernels.swish,
    swishGradient: kernels.swishGradient,
  },
  f16: {
    add: kernels.addF16,
    bypass: kernels.bypassF16,
    bypassGradient: kernels.bypassGradientF16,
    combine: kernels.combineF16,
    lstmCarry: kernels.lstmCarryF16,
    lstmCarryGradient: kernels.lstmCarryGradientF16,
    residual: kernels.residualF16,
    swish: kernels.swishF16,
    swishGradient: kernels.swishGradientF16,
  },
} as const;
