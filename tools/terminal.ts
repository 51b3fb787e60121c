import { AsyncLocalStorage } from 'node:async_hooks';
import type { Readable, Writable } from 'node:stream';
import { printable } from '../src/text/printable.ts';
import type { JobEvent } from './runtime/jobs.ts';

export { printable };

/** Where a command reads and writes: the process's own streams, or others in their place. */
export interface Terminal {
  stdin: Readable;
  stdout: Pick<Writable, 'write'>;
  /** `isTTY` where a person looks at it, `columns` wide. */
  stderr: Pick<Writable, 'write'> & { isTTY?: boolean; columns?: number };
}

const terminals = new AsyncLocalStorage<Terminal>();

/** The terminal of the command that runs. */
export const currentTerminal = (): Terminal => terminals.getStore() ?? process;

/** Runs `use`, and all that it starts, with a terminal of its own. */
export const withTerminal = <Result>(terminal: Terminal, use: () => Result): Result => terminals.run(terminal, use);

const BAR_CELLS = 20;
const DEFAULT_COLUMNS = 80;
/** A person sees no more; writing takes time from the work. */
const MS_BETWEEN_LINES = 100;

/** `[######--------------]  30 %` */
export function bar(done: number, total: number): string {
  const share = Math.max(0, Math.min(1, done / Math.max(total, Number.MIN_VALUE)));
  const cells = Math.floor(BAR_CELLS * share);
  const percent = String(Math.floor(100 * share)).padStart(3);
  return `[${'#'.repeat(cells)}${'-'.repeat(BAR_CELLS - cells)}] ${percent} %`;
}

/** A line on stderr that says how far long work is; nothing where stderr is not a terminal. */
export class Progress {
  readonly #label: string;
  #shown = '';
  #shownAt = -Infinity;

  constructor(label: string) {
    this.#label = label;
  }

  /** How much of it is done; of what is not known in advance nothing but the label is shown, and the note. */
  update(done: number, total: number | undefined, note = ''): void {
    const { stderr } = currentTerminal();
    if (!stderr.isTTY || performance.now() - this.#shownAt < MS_BETWEEN_LINES) {
      return;
    }
    const parts = [printable(this.#label), ...(total === undefined ? [] : [bar(done, total)]), note];
    const text = parts
      .filter(Boolean)
      .join('  ')
      .slice(0, (stderr.columns ?? DEFAULT_COLUMNS) - 1);
    if (text !== this.#shown) {
      stderr.write(`\r\x1b[K${text}`);
      this.#shown = text;
      this.#shownAt = performance.now();
    }
  }

  end(): void {
    if (this.#shown) {
      currentTerminal().stderr.write('\r\x1b[K');
      this.#shown = '';
    }
  }

  /** For jobs: takes the progress events and leaves the others. */
  readonly listen = (event: JobEvent): void => {
    if (event.type === 'progress') {
      this.update(event.done, event.total);
    }
  };
}

/** Notes for people go to stderr; stdout is for results. */
export function note(text: string): void {
  currentTerminal().stderr.write(`${text}\n`);
}

export function print(text: string): void {
  currentTerminal().stdout.write(`${text}\n`);
}

/** Rows of a table, the heading first. */
export type Rows = readonly (readonly string[])[];

/** Cells of equal width, the first column left-aligned, the others right-aligned. */
function aligned(rows: Rows, least: number): { widths: number[]; cells: string[][] } {
  const widths = rows[0].map((_, column) => Math.max(least, ...rows.map((row) => row[column].length)));
  const cells = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))),
  );
  return { widths, cells };
}

/** A table for a document. */
export function markdownTable(rows: Rows): string {
  const { widths, cells } = aligned(rows, 3);
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const [heading, ...body] = cells;
  return [heading, rule, ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** A table for a terminal. */
export function table(rows: Rows): string {
  return aligned(rows, 0)
    .cells.map((row) => row.join('  '))
    .join('\n');
}

/** A share as a percentage; a dash where there is none. */
export const percent = (share: number | null, digits: number) =>
  share === null ? '–' : `${(100 * share).toFixed(digits)} %`;

export const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
