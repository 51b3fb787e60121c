/** A file that is read in pieces: a Blob in the browser, a file handle in Node, or bytes in memory. */
export interface ByteSource {
  /** Bytes in all. */
  readonly size: number;
  /** The file's name without its folder, for errors and for files that name one another. */
  readonly name?: string;
  /** Bytes `offset` to `offset + length`, or fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * A file that this one names, by its path from this one's folder; undefined if there is none. An ONNX model can keep
   * its weights so.
   */
  readonly beside?: (path: string) => Promise<ByteSource | undefined>;
}

export function bytesSource(bytes: Uint8Array, name?: string): ByteSource {
  return { size: bytes.length, name, read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

/** A Blob, or a File with its name: dropped files that name one another are found among each other. */
export function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    name: blob instanceof File ? blob.name : undefined,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}
