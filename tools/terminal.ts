import type { JobEvent } from './runtime/jobs.ts';

/** A line on stderr that says how far long work is; nothing where stderr is not a terminal. */
export class Progress {
  readonly #label: string;
  #shown = '';

  constructor(label: string) {
    this.#label = label;
  }

  update(done: number, total: number): void {
    const text = `${this.#label} ${Math.floor((100 * done) / Math.max(1, total))} %`;
    if (process.stderr.isTTY && text !== this.#shown) {
      process.stderr.write(`\r\x1b[K${text}`);
      this.#shown = text;
    }
  }

  end(): void {
    if (this.#shown) {
      process.stderr.write('\r\x1b[K');
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
  process.stderr.write(`${text}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
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

/** A name out of an untrusted file: what a terminal would take for commands is shown as \\u…. */
export const printable = (text: string) =>
  text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

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
