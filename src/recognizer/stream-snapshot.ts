import { RillError } from '../errors.ts';
import { badSnapshot, type SnapshotReader, type SnapshotWriter } from '../snapshot/bytes.ts';
import { optional, record, text } from '../snapshot/fields.ts';
import type { StreamTexts } from './stream.ts';

/** A stream as bytes, and how far it was. */
export interface StreamSnapshot {
  /** What it is restored from. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Samples it had taken, at the rate that they came at: whoever goes on begins with the next. */
  samples: number;
  /** Results that its session had told. */
  results: number;
}

const TEXTS = record<StreamTexts>({
  keywords: optional(text),
  hotwords: optional(text),
  nextHotwords: optional(text),
});

export function writeTexts(to: SnapshotWriter, texts: StreamTexts): void {
  TEXTS.write(to, texts);
}

export const readTexts = (from: SnapshotReader): StreamTexts => TEXTS.read(from);

/** Makes something of a snapshot's text. @throws RillError `bad-snapshot` where the text is not good for it. */
export function restoring<Made>(make: () => Made): Made {
  try {
    return make();
  } catch (error) {
    throw error instanceof RillError ? badSnapshot(`${error.got} in a snapshot`, error.expected) : error;
  }
}
