/**
 * Reads every `shaders/*.wgsl` by reflection and writes `src/gpu/kernels.generated.ts`: the source text with
 * its binding layout, override names, workgroup size and uniform layouts as typed constants. The WGSL is the
 * source of truth; nothing of it is repeated by hand in TypeScript.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { WgslReflect, ResourceType, type VariableInfo } from 'wgsl_reflect/wgsl_reflect.module.js';

const shaders = new URL('../shaders/', import.meta.url);
const target = new URL('../src/gpu/kernels.generated.ts', import.meta.url);

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

function descriptor(name: string, code: string) {
  const reflection = new WgslReflect(code);
  const [entry, ...others] = reflection.entry.compute;
  if (!entry?.workgroupSize || others.length > 0 || entry.name !== name) {
    throw new Error(`shaders/${name}.wgsl: expected one entry point with the name of the file`);
  }
  const variables = [...reflection.storage, ...reflection.uniforms, ...reflection.textures, ...reflection.samplers];
  return {
    name,
    workgroupSize: entry.workgroupSize,
    overrides: reflection.overrides.map((override) => override.name),
    bindings: Object.fromEntries(variables.map((variable) => [variable.name, binding(variable)])),
    code,
  };
}

/** Comments are for the reader of `shaders/`; blank lines stay, so that line numbers in errors hold. */
const withoutComments = (code: string) => code.replace(/[ \t]*\/\/.*$/gm, '');

/** The text of `kernels.generated.ts`. */
export async function generateKernels(): Promise<string> {
  const names = (await readdir(shaders)).filter((file) => file.endsWith('.wgsl')).sort();
  const parts = await Promise.all(
    names.map(async (file) => {
      const name = file.replace(/\.wgsl$/, '');
      const code = withoutComments(await readFile(new URL(file, shaders), 'utf8'));
      const constant = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
      return `export const ${constant} = ${JSON.stringify(descriptor(name, code), null, 2)} as const;\n`;
    }),
  );
  return `// Made from shaders/*.wgsl by tools/generate-kernels.ts (npm run generate). Do not edit.\n\n${parts.join('\n')}`;
}

/** Writes `kernels.generated.ts`, unless it is as it should be: others may be reading it, or watching it. */
export async function writeKernels(): Promise<void> {
  const text = await generateKernels();
  if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    await writeFile(target, text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeKernels();
}
