const START = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * FNV-1a in 32 bits, of bytes that come in parts: no two texts that differ in one byte have the same. It tells damage and
 * mistakes, not malice.
 */
export function fingerprint(parts: Iterable<Uint8Array | string>): number {
  const encoder = new TextEncoder();
  let hash = START;
  for (const part of parts) {
    const bytes = typeof part === 'string' ? encoder.encode(part) : part;
    hash = bytes.reduce((before, byte) => Math.imul(before ^ byte, PRIME), hash);
  }
  return hash >>> 0;
}
