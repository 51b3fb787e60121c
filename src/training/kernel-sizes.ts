import { uniformWords, type BindingNames, type KernelSource } from '../webgpu/device/kernel.ts';

/**
 * The names of what a kernel of training is told once, when it is bound: `override`s, for which it is compiled anew, and the
 * members of its uniform block `sizes`, for which it is not. Which of them is which, only its shader says.
 */
export type SizeNames<Source extends KernelSource> =
  | Source['overrides'][number]
  | (Source['bindings'] extends { sizes: { fields: infer Fields } } ? keyof Fields & string : never);

/** The bindings of a kernel beside its block of sizes. */
export type ResourceNames<Source extends KernelSource> = Exclude<BindingNames<Source>, 'sizes'>;

/** Parts what a kernel is told into constants for its compiler and the words of its block of sizes, if it has one. */
export function partSizes<Source extends KernelSource>(
  source: Source,
  values: Readonly<Record<SizeNames<Source>, number>>,
): { overrides: Record<string, number>; words?: Uint32Array<ArrayBuffer> } {
  const named: Readonly<Record<string, number>> = values;
  const overrides = Object.fromEntries(source.overrides.map((name) => [name, named[name]]));
  const { sizes } = source.bindings;
  return sizes?.type === 'uniform' ? { overrides, words: uniformWords(sizes, named) } : { overrides };
}
