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

/** A table for a document: the first column left-aligned, the others right-aligned. */
export function markdownTable(rows: Rows): string {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const [heading, ...body] = rows.map((row) =>
    line(row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))),
  );
  const rule = line(widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [heading, rule, ...body].join('\n');
}

/** Columns of equal width, the first left-aligned, the others right-aligned. */
export function table(rows: Rows): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '),
    )
    .join('\n');
}
