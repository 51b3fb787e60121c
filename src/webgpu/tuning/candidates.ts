import type { WeightDtype } from '../../model/dtypes.ts';
import type { Model } from '../../model/model.ts';
import type { GpuContext } from '../device/context.ts';
import { CONV_METHOD_NAMES, ableMethods, type KernelChoice, type MethodName } from '../methods.ts';

/** The kernels of a method, with the convolutions that go with it. */
export const kernelsOf = (matrices: MethodName): KernelChoice => {
  return { convolutions: CONV_METHOD_NAMES.find((method) => method === matrices) ?? 'plain', matrices };
};

/** What runs everywhere, and is right. */
export const PLAIN = kernelsOf('plain');

/**
 * On a few lanes of a processor barriers cost more than they share (ARCHITECTURE.md, Methods, has the figures), and
 * shaders with them take long to compile.
 */
const WITH_BARRIERS: readonly MethodName[] = ['split', 'waves'];

/**
 * Their workgroups are as small as the few lanes of a processor that emulates a GPU: they leave most of a GPU's subgroup
 * idle, and cost as long to compile as any.
 */
const IN_SMALL_GROUPS: readonly MethodName[] = ['texels', 'quads'];
const WIDE_SUBGROUP = 16;

/** Each method once, the plain one first. */
export function ableKernels(context: GpuContext, { sizes }: Model, dtype: WeightDtype): KernelChoice[] {
  return ableMethods(context, sizes, dtype).map(kernelsOf);
}

/** Those that are worth a rehearsal. */
export function candidateKernels(context: GpuContext, model: Model, dtype: WeightDtype): KernelChoice[] {
  const { isFallbackAdapter, subgroupMinSize = 0 } = context.adapter;
  return ableKernels(context, model, dtype).filter(
    ({ matrices }) =>
      !(isFallbackAdapter && WITH_BARRIERS.includes(matrices)) &&
      !(subgroupMinSize >= WIDE_SUBGROUP && IN_SMALL_GROUPS.includes(matrices)),
  );
}
