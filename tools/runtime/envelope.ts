/**
 * Values that travel between Node and a page: JSON in which every typed array is replaced by a reference to
 * bytes that follow. Layout: header length (u32), header, padding to 8, then the arrays, each padded to 8.
 */
type Numbers = Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;

interface Reference {
  $array: 'f32' | 'u8';
  offset: number;
  length: number;
}

const align = (size: number) => Math.ceil(size / 8) * 8;

const isReference = (value: unknown): value is Reference =>
  typeof value === 'object' && value !== null && '$array' in value;

export function pack(value: unknown): Uint8Array<ArrayBuffer> {
  const arrays: { bytes: Uint8Array; offset: number }[] = [];
  let size = 0;
  // Before JSON sees it: Node's Buffer, a Uint8Array, would turn itself into a list of numbers first.
  const withReferences = (item: unknown): unknown => {
    if (item instanceof Float32Array || item instanceof Uint8Array) {
      const reference: Reference = {
        $array: item instanceof Float32Array ? 'f32' : 'u8',
        offset: size,
        length: item.length,
      };
      arrays.push({ bytes: new Uint8Array(item.buffer, item.byteOffset, item.byteLength), offset: size });
      size += align(item.byteLength);
      return reference;
    }
    if (Array.isArray(item)) {
      return item.map(withReferences);
    }
    if (typeof item === 'object' && item !== null) {
      return Object.fromEntries(Object.entries(item).map(([key, each]) => [key, withReferences(each)]));
    }
    return item;
  };
  const json = JSON.stringify(withReferences(value));
  const header = new TextEncoder().encode(json ?? 'null');
  const start = align(4 + header.length);
  const packed = new Uint8Array(start + size);
  new DataView(packed.buffer).setUint32(0, header.length, true);
  packed.set(header, 4);
  for (const { bytes, offset } of arrays) {
    packed.set(bytes, start + offset);
  }
  return packed;
}

/** @param bytes the arrays of the result are views of them, where they are aligned */
export function unpack(bytes: Uint8Array<ArrayBuffer>): unknown {
  const packed = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  const length = new DataView(packed.buffer, packed.byteOffset).getUint32(0, true);
  const start = packed.byteOffset + align(4 + length);
  const restore = ({ $array, offset, length }: Reference): Numbers =>
    $array === 'f32'
      ? new Float32Array(packed.buffer, start + offset, length)
      : new Uint8Array(packed.buffer, start + offset, length);
  return JSON.parse(new TextDecoder().decode(packed.subarray(4, 4 + length)), (_, item: unknown) =>
    isReference(item) ? restore(item) : item,
  ) as unknown;
}
