import { readFile, readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';

const SHADERS = new URL('../../shaders/', import.meta.url);
/** Arithmetic that stands in several shaders, since WGSL has no include: the same bytes need the same text. */
const HELPERS = ['double_swish', 'multiply_add', 'multiply_add_four', 'of_quad', 'sigmoid', 'tanh_exact', 'texel'];

/** A function up to the brace that closes it at the start of a line. */
const FUNCTION = /^(fn (\w+)\([^)]*\)[^{]*)\{\n(.*?)^\}/gms;
const plain = (text: string) =>
  text
    .replaceAll(/\/\/.*/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();

it.each(HELPERS)('%s is the same in every shader that has it', async (helper) => {
  const bodies = new Map<string, Map<string, string[]>>();
  for (const file of await readdir(SHADERS)) {
    const code = await readFile(new URL(file, SHADERS), 'utf8');
    for (const [, head, name, body] of code.matchAll(FUNCTION)) {
      if (name === helper) {
        const signature = plain(head);
        const versions = bodies.get(signature) ?? new Map<string, string[]>();
        versions.set(plain(body), [...(versions.get(plain(body)) ?? []), file]);
        bodies.set(signature, versions);
      }
    }
  }
  const all = [...bodies.values()].flatMap((versions) => [...versions.values()].flat());
  expect(all.length).toBeGreaterThan(1);
  for (const [signature, versions] of bodies) {
    expect([...versions.values()], signature).toHaveLength(1);
  }
});
