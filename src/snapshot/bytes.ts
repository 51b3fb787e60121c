import { RillError } from '../errors.ts';

const FIRST_BYTES = 4096;

/** @returns the error for bytes that are no snapshot, or not one that can be restored here */
export function badSnapshot(got: string, expected: string, remedy = 'Start the stream anew.'): RillError {
  return new RillError('bad-snapshot', { got, expected, remedy });
}

/** Numbers, texts and arrays one behind the other, little-endian. Room is doubled as it fills. */
export class SnapshotWriter {
  #bytes = new Uint8Array(FIRST_BYTES);
  #length = 0;

  /** All that was written. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  byte(value: number): void {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  /** As float64, which holds whole numbers up to 2 ** 53. */
  number(value: number): void {
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value, true);
  }

  bytes(values: Uint8Array): void {
    const at = this.#reserve(values.length);
    this.#bytes.set(values, at);
  }

  floats(values: Float32Array): void {
    const at = this.#reserve(4 * values.length);
    const view = this.#view;
    for (let i = 0; i < values.length; i++) {
      view.setFloat32(at + 4 * i, values[i], true);
    }
  }

  get #view(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  /** @returns where so many bytes go */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }
}

/** Reads what a {@link SnapshotWriter} wrote, and never beyond its end. */
export class SnapshotReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    return this.#bytes[this.#take(1)];
  }

  number(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** @returns a view of the bytes */
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  floats(count: number): Float32Array<ArrayBuffer> {
    const at = this.#take(4 * count);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      values[i] = this.#view.getFloat32(at + 4 * i, true);
    }
    return values;
  }

  /** @throws RillError `bad-snapshot` where something is left. */
  end(): void {
    if (this.left > 0) {
      throw badSnapshot(`${this.left} bytes behind the end of a snapshot`, 'none');
    }
  }

  /** @returns where so many bytes begin */
  #take(count: number): number {
    if (!(count <= this.left)) {
      throw badSnapshot(`a snapshot with ${this.left} bytes left where ${count} are needed`, 'a whole one');
    }
    const at = this.#at;
    this.#at += count;
    return at;
  }
}
