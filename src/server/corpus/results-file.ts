import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { open, readFile, rename, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RillError } from '../../errors.ts';
import { reasonOf } from './corpus-file.ts';

const NEWLINE = 0x0a;
/** Lines of the result that are read and written at once. */
const LINES = 256;

/** Where a line lies in the journal, in bytes. */
interface Place {
  at: number;
  length: number;
}

/**
 * Results as they come, in any order, each file's once, in a journal beside the file that they will make: `FILE.partial`.
 * It is only ever appended to. Whoever is killed opens it again and goes on: a line that was cut off counts for nothing.
 *
 * Its first line says which corpus it is of. Then `12 {…}` is the line of file 12, `+12` says that it was begun, and `-` that
 * whoever wrote the lines above stopped in good order, without a crash.
 */
export class ResultsFile {
  readonly #path: string;
  readonly #journal: FileHandle;
  readonly #places = new Map<number, Place>();
  readonly #begun = new Map<number, number>();
  #size = 0;
  /** Writes go one after the other. */
  #written: Promise<unknown> = Promise.resolve();

  private constructor(path: string, journal: FileHandle) {
    this.#path = path;
    this.#journal = journal;
  }

  /**
   * Opens the journal of a file of results, new or as it was left.
   *
   * @param fingerprint of the corpus
   * @throws RillError `bad-argument` for a file that is there already, for the journal of another corpus, for one that
   * another process writes to.
   */
  static async open(path: string, fingerprint: string): Promise<ResultsFile> {
    const partial = partialOf(path);
    if (existsSync(path)) {
      throw taken(path, 'a file that is there already', 'Name another file, or move that one away.');
    }
    await lock(partial);
    try {
      const heading = `rill corpus ${fingerprint}\n`;
      if (existsSync(partial)) {
        await checkHeading(partial, heading);
      } else {
        await writeFile(partial, heading);
      }
      const results = new ResultsFile(path, await open(partial, 'r+'));
      await results.#read(heading.length);
      return results;
    } catch (error) {
      await rm(lockOf(partial), { force: true });
      throw error;
    }
  }

  /** Whether a file has its line. */
  has(index: number): boolean {
    return this.#places.has(index);
  }

  /** Files that have their line. */
  get count(): number {
    return this.#places.size;
  }

  /** How often a file was begun by a process that then crashed. */
  crashes(index: number): number {
    return this.#begun.get(index) ?? 0;
  }

  /** A file is begun. */
  begin(index: number): Promise<void> {
    return this.#append(`+${index}\n`);
  }

  /** The line of a file; the first one counts. */
  async add(index: number, line: string): Promise<void> {
    if (!this.has(index)) {
      const prefix = `${index} `;
      const start = this.#size + prefix.length;
      this.#places.set(index, { at: start, length: Buffer.byteLength(line) });
      await this.#append(`${prefix}${line}\n`);
    }
  }

  /** All that was added is on the disk. */
  async flush(): Promise<void> {
    await this.#written;
    await this.#journal.datasync();
  }

  /** Closes the journal in good order, to go on later: what was begun is not to blame. */
  async close(): Promise<void> {
    await this.#append('-\n');
    await this.#end();
  }

  /** Closes the journal after a failure, for which a file that was begun may be to blame. */
  async abandon(): Promise<void> {
    await this.#written;
    await this.#end();
  }

  /** Writes the file itself, in order of the list, and removes the journal. */
  async finish(): Promise<void> {
    await this.#written;
    const whole = `${this.#path}.whole`;
    await pipeline(Readable.from(this.#lines()), createWriteStream(whole));
    await rename(whole, this.#path);
    await this.#end();
    await rm(partialOf(this.#path), { force: true });
  }

  async #end(): Promise<void> {
    await this.#journal.close();
    await rm(lockOf(partialOf(this.#path)), { force: true });
  }

  async *#lines(): AsyncGenerator<Buffer> {
    const indices = [...this.#places.keys()].sort((a, b) => a - b);
    for (let first = 0; first < indices.length; first += LINES) {
      const lines = indices.slice(first, first + LINES).map((index) => this.#line(index));
      yield Buffer.concat(await Promise.all(lines));
    }
  }

  async #line(index: number): Promise<Buffer> {
    const { at, length } = this.#places.get(index) ?? { at: 0, length: 0 };
    const bytes = Buffer.alloc(length + 1, NEWLINE);
    await this.#journal.read(bytes, 0, length, at);
    return bytes;
  }

  #append(text: string): Promise<void> {
    const at = this.#size;
    const bytes = Buffer.from(text);
    this.#size += bytes.length;
    const written = this.#written.then(async () => {
      await this.#journal.write(bytes, 0, bytes.length, at);
    });
    this.#written = written.catch(() => undefined);
    return written;
  }

  /** Reads what is there; what follows the last whole line is cut off. */
  async #read(from: number): Promise<void> {
    let at = from;
    let rest = Buffer.alloc(0);
    for await (const piece of createReadStream(partialOf(this.#path), { start: from }) as AsyncIterable<Buffer>) {
      let bytes = Buffer.concat([rest, piece]);
      for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE)) {
        this.#accept(bytes.subarray(0, end), at);
        at += end + 1;
        bytes = bytes.subarray(end + 1);
      }
      rest = bytes;
    }
    this.#size = at;
    await this.#journal.truncate(at);
  }

  #accept(bytes: Buffer, at: number): void {
    const text = bytes.toString();
    const [, begun, index, line] = /^(?:\+(\d+)|(\d+) (\{.*\}))$/.exec(text) ?? [];
    if (text === '-') {
      // What was begun before was given up, not lost.
      this.#begun.clear();
    } else if (begun) {
      this.#begun.set(Number(begun), this.crashes(Number(begun)) + 1);
    } else if (index && isJson(line) && !this.has(Number(index))) {
      this.#places.set(Number(index), { at: at + index.length + 1, length: Buffer.byteLength(line) });
    }
  }
}

const partialOf = (path: string) => `${path}.partial`;
const lockOf = (partial: string) => `${partial}.lock`;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function checkHeading(partial: string, heading: string): Promise<void> {
  const file = await open(partial);
  try {
    const bytes = Buffer.alloc(heading.length);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytes.toString('utf8', 0, bytesRead) !== heading) {
      throw taken(partial, 'results of another list, model or settings', 'Name another file, or remove that one.');
    }
  } finally {
    await file.close();
  }
}

/** One process at a time: the file has its id. One whose process has gone is taken over. */
async function lock(partial: string): Promise<void> {
  const path = lockOf(partial);
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return;
    } catch (cause) {
      if (!existsSync(path)) {
        throw unwritable(path, cause);
      }
      const owner = Number(await readFile(path, 'utf8').catch(() => ''));
      if (owner !== process.pid && isAlive(owner)) {
        throw taken(partial, `what process ${owner} writes to`, 'Wait for it, or name another file.');
      }
      await rm(path, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

const taken = (path: string, what: string, remedy: string) =>
  new RillError('bad-argument', { got: `${path}, ${what}`, expected: 'a file to write results to', remedy });

function unwritable(path: string, cause: unknown): RillError {
  const remedy = 'Check the output path and the free space.';
  return new RillError('bad-argument', {
    got: `${path}, which cannot be written (${reasonOf(cause)})`,
    expected: 'a file',
    remedy,
  });
}
