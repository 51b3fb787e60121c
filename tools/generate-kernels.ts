/**
 * Writes `src/webgpu/kernels.generated.ts`, and the same for training: for each kernel the WGSL of its parts, one behind the other, with what reflection
 * says of it as typed constants: its binding layout, override names, workgroup size and uniform layouts. The WGSL is the
 * source of truth; nothing of it is repeated by hand in TypeScript.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { WgslReflect, ResourceType, type VariableInfo } from 'wgsl_reflect/wgsl_reflect.module.js';
import { placeInFile, type WgslFile } from '../src/webgpu/device/wgsl-files.ts';

const shaders = new URL('../shaders/', import.meta.url);

/** Ways to multiply a matrix with rows of inputs. */
const any = ['weight_type', 'multiply_add', 'four_starts'];
const inBuffer = [...any, 'matrix_in_buffer', 'unpack', 'inputs_by_vec4', 'four_inputs'];
const inTexture = [
  ...any,
  'matrix_in_texture',
  'one_matrix',
  'product_texture',
  'four_inputs',
  'four_sums',
  'store_four',
];
const tiled = [...inBuffer, 'one_matrix', 'product_plain', 'four_sums', 'store_four'];
const plain = [...tiled, 'threads_by_output'];
const folded = [...tiled, 'threads_folded'];
const split = [...inBuffer, 'sums_split', 'product_split'];
const texels = [...inTexture, 'inputs_by_vec4', 'threads_of_eight'];
const quads = [...inTexture, 'inputs_by_quad', 'threads_of_quad'];

/** What goes with an operation, whichever the way. */
const oneFrame = ['one_frame', 'step', 'at'];
const wave = ['wave', 'step', 'at'];
const linear = ['scale', 'activations', 'blocks'];
const cell = ['lstm_gates', 'lstm_state', 'lanes', 'activations', 'blocks'];
const output = ['lstm_output', 'lstm_state', 'lanes'];
const projection = [...output, 'scale', 'blocks'];
const convolution = ['step', 'activations'];
const softmax = ['softmax', 'workgroup_sum', 'workgroup_join', 'step'];

/** What each kernel of a table is made of: an operation, `shaders/*.wgsl`, and parts, `shaders/parts/*.wgsl`. */
export type KernelTable = Readonly<Record<string, readonly [operation: string, ...parts: string[]]>>;

/** The streaming encoder's kernels. */
export const KERNELS: KernelTable = {
  basic_norm: ['basic_norm', 'norm_by_workgroup', 'workgroup_rows', 'workgroup_sum', 'step'],
  basic_norm_quad: ['basic_norm', 'norm_by_quad', 'workgroup_rows', 'step'],
  conv_first: ['conv_first', 'step', 'lanes', 'activations'],
  conv_strided: ['conv_strided', ...convolution, ...folded],
  conv_strided_quads: ['conv_strided', ...convolution, ...quads],
  conv_strided_texels: ['conv_strided', ...convolution, ...texels],
  ctc_pick: ['ctc_pick', ...softmax, 'workgroup_best', 'workgroup_rows'],
  decoder: ['decoder', 'step', 'lanes'],
  greedy_pick: ['greedy_pick', ...softmax, 'workgroup_best', 'lanes', 'at'],
  join: ['join', 'step', 'at', 'activations'],
  linear: ['linear', ...linear, 'all_frames', 'step', ...plain],
  linear_quads: ['linear', ...linear, 'all_frames', 'step', ...quads],
  linear_split: ['linear', ...linear, 'all_frames', 'step', ...split],
  linear_texels: ['linear', ...linear, 'all_frames', 'step', ...texels],
  linear_wave: ['linear', ...linear, ...wave, ...split],
  log_softmax: ['log_softmax', ...softmax, 'workgroup_rows'],
  lstm_carry: ['lstm_carry', ...output, ...oneFrame],
  lstm_cell: ['lstm_cell', ...cell, 'scale', ...oneFrame, ...plain],
  lstm_cell_quads: ['lstm_cell', ...cell, 'scale', ...oneFrame, ...quads],
  lstm_cell_split: ['lstm_cell', ...cell, 'scale', ...oneFrame, ...split],
  lstm_cell_texels: ['lstm_cell', ...cell, 'scale', ...oneFrame, ...texels],
  lstm_cell_wave: ['lstm_cell_wave', ...cell, ...wave, ...any, 'unpack', 'sums_split'],
  lstm_projection: ['lstm_projection', ...projection, ...oneFrame, ...plain],
  lstm_projection_quads: ['lstm_projection', ...projection, ...oneFrame, ...quads],
  lstm_projection_split: ['lstm_projection', ...projection, ...oneFrame, ...split],
  lstm_projection_texels: ['lstm_projection', ...projection, ...oneFrame, ...texels],
  lstm_projection_wave: ['lstm_projection_wave', ...projection, ...wave, ...split],
  read_bandwidth: ['read_bandwidth'],
  read_bandwidth_texels: ['read_bandwidth_texels'],
  save_context: ['save_context', 'step', 'lanes'],
};

const rows = ['training_rows', 'step'];
const byRow = ['row_by_workgroup', 'workgroup_rows', 'step'];
const convolved = ['conv_rows', 'step'];
const ctc = ['ctc_lattice', 'workgroup_log_sum', 'step'];
const transducer = ['transducer_lattice', 'lattice_rows', 'step'];
const spike = ['spike_targets', 'step'];
const norm = ['workgroup_sum', 'workgroup_rows', 'step', 'at'];
const adam = [
  'training/adam',
  'adam_step',
  'optimizer_state',
  'optimizer_totals',
  'optimizer_parameters',
  'at',
] as const;

/** Ways to multiply rows with a parameter's matrix: from its buffer, or from a texture that has it too. */
const trainedAny = ['multiply_add_dot', 'four_starts', 'four_inputs', 'four_sums', 'store_four_looped', 'blocks'];
const trainedTexture = [...trainedAny, 'parameter_in_texture', 'product_texture'];
const WAYS: readonly (readonly [suffix: string, parts: readonly string[]])[] = [
  ['', [...trainedAny, 'parameter_in_buffer', 'product_plain', 'inputs_by_vec4', 'threads_by_output']],
  ['_texels', [...trainedTexture, 'inputs_by_vec4', 'threads_of_eight']],
  ['_quads', [...trainedTexture, 'inputs_by_quad', 'threads_of_quad']],
];
const ofFrame = ['frame_rows', 'step', 'at'];
const productOfAll = ['product_sizes', 'product_rows', ...rows];
const productOfFrame = ['product_sizes', ...ofFrame];
/** Products that only gradients go into. */
const BACKWARD_PRODUCTS: KernelTable = {
  input_gradient: ['training/input_gradient', 'by_transpose', ...productOfAll],
  lstm_output_gradient: ['training/lstm_output_gradient', 'by_transpose', ...productOfFrame],
};
/** Each of some products by some ways. */
const byWay = (products: KernelTable, ways: typeof WAYS, dtype: string): KernelTable =>
  Object.fromEntries(
    Object.entries(products).flatMap(([name, [operation, ...parts]]) =>
      ways.map(([suffix, way]): [string, KernelTable[string]] => [
        name + suffix + dtype,
        [operation, ...parts, ...way],
      ]),
    ),
  );

/** Kernels that read or write what is kept of the way forward, by how it is kept. Quads share inputs in f32. */
function keeping(dtype: 'f32' | 'f16'): KernelTable {
  const isHalf = dtype === 'f16';
  const stored = `stored_${dtype}`;
  const input = [`input_${dtype}`, stored];
  const dz = isHalf ? ['dz_apart', stored] : ['dz_in_place'];
  const products: KernelTable = {
    linear: ['training/linear', 'by_matrix', ...input, ...productOfAll],
    lstm_cell: ['training/lstm_cell', 'by_matrix', 'activations', ...input, ...productOfFrame],
    lstm_cell_gradient: [
      'training/lstm_cell_gradient',
      ...['lstm_back', ...dz, 'by_transpose', 'activations'],
      ...productOfFrame,
    ],
    lstm_projection: ['training/lstm_projection', 'by_matrix', stored, ...productOfFrame],
  };
  const others: KernelTable = {
    add: ['training/add', stored, ...byRow],
    bypass: ['training/bypass', stored, ...norm],
    bypass_gradient: ['training/bypass_gradient', stored, ...norm],
    combine: ['training/combine', stored, ...byRow, 'at'],
    lstm_carry: ['training/lstm_carry', stored, ...ofFrame],
    lstm_carry_gradient: ['training/lstm_carry_gradient', 'lstm_back', ...dz, 'activations', ...ofFrame],
    residual: ['training/residual', 'dropout_mask', stored, ...byRow],
    swish: ['training/swish', 'activations', 'dropout_mask', stored, ...byRow],
    swish_gradient: ['training/swish_gradient', 'dropout_mask', stored, ...byRow],
    weight_gradient: ['training/weight_gradient', 'inputs_by_vec4', 'inputs_by_32', stored, ...rows],
    weight_gradient_eights: ['training/weight_gradient', 'inputs_by_vec4', 'inputs_of_eight', stored, ...rows],
  };
  const suffix = isHalf ? '_f16' : '';
  const named = Object.entries(others).map(([name, parts]) => [name + suffix, parts] as const);
  return { ...byWay(products, isHalf ? WAYS.slice(0, 2) : WAYS, suffix), ...Object.fromEntries(named) };
}

/** Training's kernels. */
export const TRAINING_KERNELS: KernelTable = {
  adam: [...adam, 'not_averaged'],
  adam_averaged: [...adam, 'averaged'],
  balancer: ['training/balancer', 'balancer_push', ...convolved],
  balancer_pushes: ['training/balancer_pushes', 'balancer_push', 'workgroup_total', ...convolved],
  begin_step: ['training/begin_step', 'workgroup_sum', 'optimizer_state', 'optimizer_totals'],
  bias_gradient: ['training/bias_gradient', 'workgroup_total', ...rows],
  conv: ['training/conv', 'conv_places', 'activations', ...convolved],
  conv_bias_gradient: ['training/bias_gradient', 'workgroup_total', ...convolved],
  conv_input_gradient: ['training/conv_input_gradient', ...convolved],
  conv_weight_gradient: ['training/conv_weight_gradient', 'workgroup_total', 'conv_places', ...convolved],
  ctc_alpha: ['training/ctc_alpha', ...ctc],
  ctc_beta: ['training/ctc_beta', ...ctc],
  ctc_gradient: ['training/ctc_gradient', ...ctc, 'workgroup_rows'],
  decoder: ['training/decoder', ...byRow],
  decoder_conv_gradient: ['training/decoder_conv_gradient', ...rows],
  draw_mask: ['training/draw_mask', ...rows, 'at'],
  dropout: ['training/dropout', 'dropout_mask', ...byRow],
  embedding_gradient: ['training/embedding_gradient', ...rows],
  filter_add: ['training/filter_add', ...byRow],
  filter_factors: ['training/filter_factors', 'workgroup_sum', 'step'],
  filter_norms: ['training/filter_norms', 'workgroup_sum', 'step'],
  filter_weights: ['training/filter_weights', ...byRow],
  keep_f16: ['training/keep', 'stored_f16', ...byRow],
  join: ['training/join', 'lattice_rows', 'activations', ...byRow],
  join_gradient: ['training/join_gradient', 'lattice_rows', ...byRow],
  ...byWay(BACKWARD_PRODUCTS, WAYS, ''),
  ...keeping('f32'),
  ...keeping('f16'),
  log_softmax: KERNELS.log_softmax,
  mean_square: ['training/mean_square', 'workgroup_sum', 'workgroup_rows', 'step'],
  relu_gradient: ['training/relu_gradient', ...byRow],
  scale_step: ['training/scale_step', 'adam_step', 'optimizer_state', 'optimizer_totals', 'optimizer_parameters'],
  spike_gradient: ['training/spike_gradient', ...spike, 'workgroup_rows'],
  spike_loss: ['training/spike_loss', ...spike, 'workgroup_log_sum'],
  squares: ['training/squares', 'workgroup_total'],
  totals: ['training/totals', 'workgroup_total', 'optimizer_totals', 'optimizer_parameters'],
  transducer_alpha: ['training/transducer_alpha', ...transducer, 'workgroup_log_sum'],
  transducer_beta: ['training/transducer_beta', ...transducer, 'workgroup_log_sum'],
  transducer_gradient: ['training/transducer_gradient', ...transducer, 'workgroup_rows'],
  weight_gradient_quads: ['training/weight_gradient', 'inputs_by_quad', 'inputs_of_quad', 'stored_f32', ...rows],
};

/** Where the kernels of each table go. */
const TARGETS: readonly (readonly [KernelTable, URL])[] = [
  [KERNELS, new URL('../src/webgpu/kernels.generated.ts', import.meta.url)],
  [TRAINING_KERNELS, new URL('../src/training/kernels.generated.ts', import.meta.url)],
];

/** Directives, which have to come first. */
const DIRECTIVE = /^(?:enable|requires) .*;/gm;

/** A file as it is concatenated. Comments are for the reader of `shaders/`; lines stay, so that their numbers hold. */
export interface WgslText {
  directives: readonly string[];
  body: string;
}

export function wgslText(source: string): WgslText {
  const code = source.replace(/[ \t]*\/\/.*$/gm, '');
  return { directives: code.match(DIRECTIVE) ?? [], body: code.replace(DIRECTIVE, '') };
}

/** The first line of what is concatenated: all directives. */
const head = (texts: readonly WgslText[]) => `${texts.flatMap(({ directives }) => directives).join(' ')}\n`;

/**
 * A kernel, put together and reflected.
 *
 * @param texts of its operation and parts by file, in their order
 * @throws Error that names the file and its line
 */
export function describeKernel(name: string, texts: ReadonlyMap<string, WgslText>) {
  const files: WgslFile[] = [];
  let line = 2;
  for (const [file, { body }] of texts) {
    files.push({ file, line });
    line += body.split('\n').length - 1;
  }
  const bodies = [...texts.values()];
  const code = head(bodies) + bodies.map(({ body }) => body).join('');
  const reflection = reflect(name, files, code);
  const [entry, ...others] = reflection.entry.compute;
  if (!entry?.workgroupSize || others.length > 0 || entry.name !== 'main') {
    throw new Error(`${name}: expected one entry point, main, in ${[...texts.keys()].join(', ')}`);
  }
  const variables = [...reflection.storage, ...reflection.uniforms, ...reflection.textures, ...reflection.samplers];
  return {
    name,
    workgroupSize: entry.workgroupSize,
    overrides: reflection.overrides.map((override) => override.name),
    bindings: Object.fromEntries(variables.map((variable) => [variable.name, binding(variable)])),
    files,
  };
}

function reflect(name: string, files: readonly WgslFile[], code: string): WgslReflect {
  const places = new Map<string, string>();
  for (const { index, 0: text, 1: defined } of code.matchAll(DEFINITION)) {
    const place = placeInFile(files, code.slice(0, index + text.length).split('\n').length);
    if (places.has(defined)) {
      throw new Error(`${name}: ${defined} is defined at ${places.get(defined)} and at ${place}`);
    }
    places.set(defined, place);
  }
  try {
    return new WgslReflect(code);
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const placed = words.replace(/\bline:? ?(\d+)/i, (_, line: string) => placeInFile(files, Number(line)));
    throw new Error(`${name}: ${placed}`, { cause });
  }
}

/** What stands at module scope, in the files' own formatting. */
const DEFINITION = /^(?:@.*\) )?(?:fn|var(?:<[^>]*>)?|override|const|alias|struct) (\w+)/gm;

/** The names that a file defines. */
export const definitions = ({ body }: WgslText): string[] =>
  Array.from(body.matchAll(DEFINITION), ([, defined]) => defined);

function binding(variable: VariableInfo) {
  const { group, binding } = variable;
  if (variable.resourceType === ResourceType.Uniform) {
    // By convention group 1 holds what changes within a step, bound with a dynamic offset.
    const fields = (variable.members ?? []).map(({ name, offset }) => [name, offset]);
    return {
      group,
      binding,
      type: 'uniform',
      size: variable.size,
      fields: Object.fromEntries(fields) as Record<string, number>,
      dynamic: group === 1,
    };
  }
  if (variable.resourceType === ResourceType.Texture) {
    return { group, binding, type: 'texture' };
  }
  if (variable.resourceType === ResourceType.Sampler) {
    return { group, binding, type: 'sampler' };
  }
  const type = variable.access === 'read' ? 'read-only-storage' : 'storage';
  return { group, binding, type, size: variable.stride };
}

/** Every file of `shaders/`, by its path there. */
export async function readShaders(): Promise<Map<string, WgslText>> {
  const names = (await readdir(shaders, { recursive: true })).filter((file) => file.endsWith('.wgsl')).sort();
  return new Map(
    await Promise.all(
      names.map(async (name) => [name, wgslText(await readFile(new URL(name, shaders), 'utf8'))] as const),
    ),
  );
}

/** The files of a kernel, in the order of the table. */
export function filesOf(
  table: KernelTable,
  kernel: string,
  shaders: ReadonlyMap<string, WgslText>,
): Map<string, WgslText> {
  const [operation, ...parts] = table[kernel];
  const files = [`${operation}.wgsl`, ...parts.map((part) => `parts/${part}.wgsl`)];
  return new Map(
    files.map((file) => {
      const text = shaders.get(file);
      if (!text) {
        throw new Error(`${kernel}: there is no shaders/${file}`);
      }
      return [file, text];
    }),
  );
}

const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
/** The constant that has a file's text. */
const textOf = (file: string) => camelCase(`_${file.replace(/\.wgsl$/, '').replace('/', '_')}`);

/** The text of a `kernels.generated.ts`: that of each file that its kernels are made of, once. */
export function generateKernels(table: KernelTable, all: ReadonlyMap<string, WgslText>): string {
  const used = new Set(Object.keys(table).flatMap((name) => [...filesOf(table, name, all).keys()]));
  const texts = Array.from(all)
    .filter(([file]) => used.has(file))
    .map(([file, { body }]) => `const ${textOf(file)} = ${JSON.stringify(body)};\n`);
  const kernels = Object.keys(table).map((name) => {
    const files = filesOf(table, name, all);
    const described = JSON.stringify(describeKernel(name, files), null, 2).slice(0, -2);
    const code = [JSON.stringify(head([...files.values()])), ...Array.from(files.keys(), textOf)].join(' + ');
    return `export const ${camelCase(name)} = ${described},\n  "code": ${code}\n} as const;\n`;
  });
  return (
    '// Made from shaders/ by tools/generate-kernels.ts (npm run generate). Do not edit.\n\n' +
    [texts.join(''), ...kernels].join('\n')
  );
}

/** Writes each `kernels.generated.ts`, unless it is as it should be: others may be reading it, or watching it. */
export async function writeKernels(): Promise<void> {
  const all = await readShaders();
  for (const [table, target] of TARGETS) {
    const text = generateKernels(table, all);
    if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
      await writeFile(target, text);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeKernels();
}
