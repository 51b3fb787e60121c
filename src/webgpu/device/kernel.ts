import { RillError } from '../../errors.ts';
import type { GpuContext } from './context.ts';
import { placeInFile, type WgslFile } from './wgsl-files.ts';

interface StorageBinding {
  readonly group: number;
  readonly binding: number;
  readonly type: 'storage' | 'read-only-storage';
  /** Bytes of one element. */
  readonly size: number;
}

interface UniformBinding {
  readonly group: number;
  readonly binding: number;
  readonly type: 'uniform';
  readonly size: number;
  /** Byte offset of each member. */
  readonly fields: Readonly<Record<string, number>>;
  /** Bound with a dynamic offset at each dispatch. */
  readonly dynamic: boolean;
}

/** A two-dimensional texture, which is sampled at its texels. */
interface TextureBinding {
  readonly group: number;
  readonly binding: number;
  readonly type: 'texture';
}

/** What reads a texture's texel that is nearest to a place. */
interface SamplerBinding {
  readonly group: number;
  readonly binding: number;
  readonly type: 'sampler';
}

type Binding = StorageBinding | UniformBinding | TextureBinding | SamplerBinding;

/** A part of a buffer; it starts at a multiple of 256 bytes. */
export interface BufferRange {
  buffer: GPUBuffer;
  /** Bytes. */
  offset: number;
  size: number;
}

/** What can be bound to a kernel. */
export type Resource = GPUBuffer | GPUTexture | BufferRange;

/** A kernel as `kernels.generated.ts` describes it. */
export interface KernelSource {
  readonly name: string;
  readonly code: string;
  /** What its code is put together from. */
  readonly files: readonly WgslFile[];
  readonly workgroupSize: readonly [number, number, number];
  readonly overrides: readonly string[];
  readonly bindings: Readonly<Record<string, Binding>>;
}

/** The bindings of a shader that {@link Kernel.bind} is to be given: all but samplers, which are alike. */
export type BindingNames<Source extends KernelSource> = {
  [Name in keyof Source['bindings'] & string]: Source['bindings'][Name]['type'] extends 'sampler' ? never : Name;
}[keyof Source['bindings'] & string];

/** Workgroup counts. */
export type Workgroups = readonly [x: number, y: number, z: number];

/** A compiled kernel with its buffers: all that is needed to dispatch it. */
export class BoundKernel {
  readonly name: string;
  readonly #pipeline: GPUComputePipeline;
  readonly #groups: readonly GPUBindGroup[];

  constructor(name: string, pipeline: GPUComputePipeline, groups: readonly GPUBindGroup[]) {
    this.name = name;
    this.#pipeline = pipeline;
    this.#groups = groups;
  }

  /** @param offset of the dynamic uniform in group 1, in bytes, for kernels that have one. */
  dispatch(pass: GPUComputePassEncoder, [x, y, z]: Workgroups, offset = 0): void {
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#groups[0]);
    if (this.#groups.length > 1) {
      pass.setBindGroup(1, this.#groups[1], [offset]);
    }
    pass.dispatchWorkgroups(x, y, z);
  }
}

/** A shader compiled for one set of sizes. Layouts come from the shader by reflection, never from `auto`. */
export class Kernel<Source extends KernelSource> {
  readonly source: Source;
  readonly #context: GpuContext;
  readonly #pipeline: GPUComputePipeline;
  readonly #layouts: readonly GPUBindGroupLayout[];

  private constructor(
    source: Source,
    context: GpuContext,
    pipeline: GPUComputePipeline,
    layouts: readonly GPUBindGroupLayout[],
  ) {
    this.source = source;
    this.#context = context;
    this.#pipeline = pipeline;
    this.#layouts = layouts;
  }

  /**
   * Compiles a shader.
   *
   * @param overrides a value for every `override` of the shader; booleans as 0 and 1.
   * @throws RillError `shader` with the compiler's words.
   */
  static async create<Source extends KernelSource>(
    context: GpuContext,
    source: Source,
    overrides: Readonly<Record<Source['overrides'][number], number>>,
  ): Promise<Kernel<Source>> {
    const { device } = context;
    const bindings = Object.values(source.bindings);
    const groups = Math.max(...bindings.map(({ group }) => group)) + 1;
    const layouts = Array.from({ length: groups }, (_, group) =>
      device.createBindGroupLayout({
        label: `${source.name} ${group}`,
        entries: bindings
          .filter((binding) => binding.group === group)
          .map((binding) => ({
            binding: binding.binding,
            visibility: GPUShaderStage.COMPUTE,
            ...layoutOf(binding),
          })),
      }),
    );
    // The scope is closed before anything is awaited; it keeps a broken shader's message off the device.
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: source.name, code: source.code });
    const scope = device.popErrorScope();
    try {
      await scope;
      const pipeline = await device.createComputePipelineAsync({
        label: source.name,
        layout: device.createPipelineLayout({ bindGroupLayouts: layouts }),
        compute: { module, constants: overrides },
      });
      return new Kernel(source, context, pipeline, layouts);
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const errors = messages.filter(({ type }) => type === 'error');
      const words = errors
        .map(({ lineNum, message }) => `${placeInFile(source.files, lineNum)}: ${message}`)
        .join('; ');
      throw new RillError(
        'shader',
        {
          got: `kernel ${source.name} that does not compile here (${words || String(cause)})`,
          expected: 'a compiled shader',
          remedy: 'Please report it with the name of the adapter and the browser.',
        },
        { cause },
      );
    }
  }

  /** Joins the kernel with a buffer, a part of one or a texture for each of its bindings; done once, at load. */
  bind(resources: Readonly<Record<BindingNames<Source>, Resource>>): BoundKernel {
    const bindings = Object.entries(this.source.bindings);
    const named: Readonly<Record<string, Resource>> = resources;
    const groups = this.#layouts.map((layout, group) =>
      this.#context.device.createBindGroup({
        label: `${this.source.name} ${group}`,
        layout,
        entries: bindings
          .filter(([, binding]) => binding.group === group)
          .map(([name, binding]) => ({
            binding: binding.binding,
            resource: binding.type === 'sampler' ? this.#context.nearestSampler : bindingResource(binding, named[name]),
          })),
      }),
    );
    return new BoundKernel(this.source.name, this.#pipeline, groups);
  }
}

/** What a bind group layout says of a binding, beside its place. */
function layoutOf(binding: Binding): Pick<GPUBindGroupLayoutEntry, 'buffer' | 'texture' | 'sampler'> {
  if (binding.type === 'texture') {
    return { texture: { sampleType: 'unfilterable-float' } };
  }
  if (binding.type === 'sampler') {
    return { sampler: { type: 'non-filtering' } };
  }
  const hasDynamicOffset = binding.type === 'uniform' && binding.dynamic;
  return { buffer: { type: binding.type, minBindingSize: binding.size, hasDynamicOffset } };
}

function bindingResource(binding: Binding, resource: Resource): GPUBindingResource {
  if ('createView' in resource) {
    return resource.createView();
  }
  if ('buffer' in resource) {
    return resource;
  }
  return { buffer: resource, ...(binding.type === 'uniform' && { size: binding.size }) };
}

/** The words of a uniform block made of u32 members, laid out as the shader has them. */
export function uniformWords<Fields extends Readonly<Record<string, number>>>(
  { size, fields }: { readonly size: number; readonly fields: Fields },
  values: Readonly<Record<keyof Fields, number>>,
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(size / 4);
  for (const name in fields) {
    words[fields[name] / 4] = values[name];
  }
  return words;
}
