import { SnapshotReader, badSnapshot } from './bytes.ts';
import { fingerprint } from './fingerprint.ts';

/** What a snapshot is of: its first four bytes. */
export type SnapshotKind = 'RLST' | 'RLCL';

/** Another number whenever what is written changes. */
const VERSION = 1;
const HEADER_BYTES = 12;

const ascii = (bytes: Uint8Array) => String.fromCharCode(...bytes);

/** Puts kind, version and checksum in front: 4 bytes each. */
export function seal(kind: SnapshotKind, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const sealed = new Uint8Array(HEADER_BYTES + body.length);
  sealed.set(new TextEncoder().encode(kind));
  sealed.set(body, HEADER_BYTES);
  const view = new DataView(sealed.buffer);
  view.setUint32(4, VERSION, true);
  view.setUint32(8, fingerprint([body]), true);
  return sealed;
}

/**
 * Opens what {@link seal} closed.
 *
 * @returns a reader of the body
 * @throws RillError `bad-snapshot` for another kind or version, and for damage.
 */
export function unseal(kind: SnapshotKind, sealed: Uint8Array): SnapshotReader {
  if (!(sealed instanceof Uint8Array) || sealed.length < HEADER_BYTES || ascii(sealed.subarray(0, 4)) !== kind) {
    throw badSnapshot('bytes that are no snapshot', `${kind}, then version, checksum and contents`);
  }
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const version = view.getUint32(4, true);
  if (version !== VERSION) {
    throw badSnapshot(`a snapshot of version ${version}`, `version ${VERSION}, which this Rill writes`);
  }
  const body = sealed.subarray(HEADER_BYTES);
  if (view.getUint32(8, true) !== fingerprint([body])) {
    throw badSnapshot('a snapshot whose checksum does not fit', 'one that was kept as it was written');
  }
  return new SnapshotReader(body);
}
