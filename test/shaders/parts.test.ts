import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { placeInFile } from '../../src/webgpu/device/wgsl-files.ts';
import {
  KERNELS,
  TRAINING_KERNELS,
  definitions,
  describeKernel,
  filesOf,
  readShaders,
  wgslText,
} from '../../tools/generate-kernels.ts';

const SHADERS = new URL('../../shaders/', import.meta.url);
const shaders = await readShaders();
const parts = [...shaders.keys()].filter((file) => file.startsWith('parts/'));
const defined = new Set([...shaders.values()].flatMap(definitions));

/** Names that a file uses and leaves to others. Members of structs and what a function names itself are not among them. */
function needsOf(file: string): string[] {
  const text = shaders.get(file);
  const body = text?.body ?? '';
  const names = new Set(Array.from(body.matchAll(/(?<![.\w])[a-z]\w*|(?<![.\w])[A-Z]\w*/g), ([name]) => name));
  const own = new Set([
    ...(text ? definitions(text) : []),
    ...Array.from(body.matchAll(/\b(?:let|var) (\w+)|\b(\w+): \w/g), ([, local, parameter]) => local ?? parameter),
  ]);
  return [...names].filter((name) => defined.has(name) && !own.has(name)).sort();
}

/** What a file's header says that it needs. */
async function statedNeeds(file: string): Promise<string[]> {
  const source = await readFile(new URL(file, SHADERS), 'utf8');
  const [header] = /^(?:\/\/.*\n)+/.exec(source) ?? [''];
  const [, needs = ''] = /Needs ([\s\S]*?)\.$/m.exec(header.replaceAll(/\n\/\/ ?/g, ' ')) ?? [];
  return Array.from(needs.matchAll(/\w+/g), ([name]) => name).sort();
}

it.each(parts)('%s says at its top what it needs from the others', async (part) => {
  expect(await statedNeeds(part)).toEqual(needsOf(part));
});

it('every file is part of a kernel', () => {
  const used = [KERNELS, TRAINING_KERNELS].flatMap((table) =>
    Object.keys(table).flatMap((kernel) => [...filesOf(table, kernel, shaders).keys()]),
  );
  expect([...shaders.keys()].filter((file) => !used.includes(file))).toEqual([]);
});

/** Such a name hides the other one from the race detector, in what the function calls. */
it('no local name of a kernel stands at its module scope', () => {
  const hidden = [KERNELS, TRAINING_KERNELS].flatMap((table) =>
    Object.keys(table).flatMap((kernel) => {
      const texts = [...filesOf(table, kernel, shaders).values()];
      const locals = texts.flatMap(({ body }) =>
        Array.from(body.matchAll(/^ .*\b(?:let|var) (\w+)/gm), ([, name]) => name),
      );
      return texts.flatMap(definitions).filter((name) => locals.includes(name));
    }),
  );
  expect(hidden).toEqual([]);
});

describe('what goes wrong is told with the file and its line', () => {
  const files = (...sources: string[]) => new Map(sources.map((source, i) => [`${'abc'[i]}.wgsl`, wgslText(source)]));
  const OPERATION = '// A kernel.\n@compute @workgroup_size(1)\nfn main() {\n}\n';

  it('what does not parse', () => {
    expect(() =>
      describeKernel('sum', files(OPERATION, 'enable f16;\nfn f() {\n  let x = 1u\n  let y = 2u;\n}\n')),
    ).toThrow(/^sum: .*shaders\/b\.wgsl:4/);
  });

  it('what two files define', () => {
    expect(() => describeKernel('sum', files(OPERATION, '\nconst threads = 1u;\n', 'fn threads() {\n}\n'))).toThrow(
      'sum: threads is defined at shaders/b.wgsl:2 and at shaders/c.wgsl:1',
    );
  });

  it('no entry point, or two', () => {
    expect(() => describeKernel('sum', files('const a = 1u;\n'))).toThrow(
      'sum: expected one entry point, main, in a.wgsl',
    );
  });

  it('lines before, at and behind a file’s first', () => {
    const both = [
      { file: 'a.wgsl', line: 2 },
      { file: 'parts/b.wgsl', line: 10 },
    ];
    expect([1, 2, 9, 10, 12].map((line) => placeInFile(both, line))).toEqual([
      'shaders/a.wgsl:0',
      'shaders/a.wgsl:1',
      'shaders/a.wgsl:8',
      'shaders/parts/b.wgsl:1',
      'shaders/parts/b.wgsl:3',
    ]);
  });
});
