/** A file that is read in pieces: a Blob in the browser, a file handle in Node, or bytes in memory. */
export interface ByteSource {
  readonly size: number;
  /** Bytes `offset` to `offset + length`, or fewer at the end of the file. */
  read(offset: number, length: number): Promise<Uint8Array>;
}

export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) };
}

export function blobSource(blob: Blob): ByteSource {
  return {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}
