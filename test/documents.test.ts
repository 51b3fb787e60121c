import { access, readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../tools/command-line.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Folders without documents of this project. */
const SKIPPED = ['node_modules', 'dist', 'fixtures', 'held-out', 'api'];
/** Options of every command, which no table lists. */
const ALWAYS = ['--help', '--version'];

interface Document {
  /** From the root of the project. */
  path: string;
  text: string;
}

async function findDocuments(folder: string): Promise<Document[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map(async (entry): Promise<Document[]> => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        const isSkipped = SKIPPED.includes(entry.name) || entry.name.startsWith('.');
        return isSkipped ? [] : findDocuments(path);
      }
      return entry.name.endsWith('.md') ? [{ path: relative(root, path), text: await readFile(path, 'utf8') }] : [];
    }),
  );
  return found.flat();
}

const exists = (path: string) =>
  access(join(root, path)).then(
    () => true,
    () => false,
  );

const withoutCode = (text: string) => text.replace(/```.*?```/gs, '').replace(/`[^`\n]*`/g, 'code');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(text: string): string[] {
  const headings = text.replace(/```.*?```/gs, '').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The lines of shell blocks, and code within sentences. */
function commandLinesOf(text: string): string[] {
  const blocks = [...text.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) =>
    block.replaceAll('\\\n', ' ').split('\n'),
  );
  const inline = [...text.replace(/```.*?```/gs, '').matchAll(/`([^`]+)`/g)].map(([, code]) => code);
  return [...blocks.map((line) => line.replace(/(^|\s)#.*$/, '')), ...inline].map((line) => line.replace(/\s+/g, ' '));
}

describe('documents', () => {
  let documents: Document[];
  let scripts: Record<string, string>;
  beforeAll(async () => {
    documents = await findDocuments(root);
    const json = await readFile(join(root, 'package.json'), 'utf8');
    ({ scripts } = JSON.parse(json) as { scripts: Record<string, string> });
    expect(documents.map(({ path }) => path)).toContain('README.md');
  });

  it('link to files and headings that are there', async () => {
    const texts = new Map(documents.map(({ path, text }) => [path, text]));
    const broken: string[] = [];
    for (const { path, text } of documents) {
      for (const [, link] of withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(link)) {
          continue;
        }
        const [file, anchor] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        const isThere = (await exists(target)) && (!anchor || anchorsOf(texts.get(target) ?? '').includes(anchor));
        if (!isThere) {
          broken.push(`${path}: ${link}`);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  it('name scripts, commands and options that are there', () => {
    const unknown: string[] = [];
    for (const { path, text } of documents) {
      for (const line of commandLinesOf(text)) {
        const script = /\bnpm run (?:-s )?([\w:]+)/.exec(line)?.[1];
        if (script !== undefined && !Object.hasOwn(scripts, script)) {
          unknown.push(`${path}: npm run ${script}`);
        }
        const [, name = '', rest = ''] =
          /^(?:.*\| )?(?:npm run -s rill -- |npx rill |rill |npm run (?:-s )?(?=bench --(?: |$)))([\w-]+)(.*)$/.exec(
            line,
          ) ?? [];
        if (name === '' || name.startsWith('-')) {
          continue;
        }
        const options = Object.hasOwn(COMMANDS, name) ? COMMANDS[name].options : undefined;
        const known = [...ALWAYS, ...Object.keys(options ?? {}).map((option) => `--${option}`)];
        const flags = [...rest.matchAll(/ (--[a-z-]+)/g)].map(([, flag]) => flag);
        const wrong = flags.filter((flag) => !known.includes(flag));
        if (!options || wrong.length > 0) {
          unknown.push(`${path}: rill ${name} ${wrong.join(' ')}`);
        }
      }
    }
    expect(unknown).toEqual([]);
  });

  it('name tests that are there', async () => {
    const files = (await readdir(join(root, 'test'), { recursive: true })).map((file) => `test/${file}`);
    for (const { path, text } of documents) {
      const names = [...text.matchAll(/npx vitest run ([^`\n#]*)/g)].flatMap(([, rest]) =>
        rest.split(' ').filter((word) => word.startsWith('test/')),
      );
      for (const name of names) {
        expect(
          files.some((file) => file.startsWith(name)),
          `${path}: ${name}`,
        ).toBe(true);
      }
    }
  });
});
