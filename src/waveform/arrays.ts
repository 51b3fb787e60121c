/** Arrays one behind the other. */
export function concatenated(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const values = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part, at);
    at += part.length;
  }
  return values;
}

/** Arrays side by side, each padded with zeros to the longest: (arrays, longest). */
export function stacked(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const longest = Math.max(...parts.map(({ length }) => length));
  const values = new Float32Array(parts.length * longest);
  parts.forEach((part, n) => {
    values.set(part, n * longest);
  });
  return values;
}
