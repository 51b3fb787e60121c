import type { RecognitionResult } from '../../recognizer/results.ts';
import { SnapshotWriter } from '../../snapshot/bytes.ts';
import { blob, flag, list, logarithm, optional, real, record, text, whole } from '../../snapshot/fields.ts';
import { seal, unseal } from '../../snapshot/seal.ts';

/** A result with its number in the call, from 1 on. */
export interface NumberedResult {
  number: number;
  result: RecognitionResult;
}

/** A call as it lies in a store. */
export interface StoredCall {
  sampleRate: number;
  /** Samples whose state this is, and results told until then. */
  samples: number;
  results: number;
  /** Of these, those that the client may not have heard. */
  unheard: readonly NumberedResult[];
  /** A session's snapshot; absent when the call has ended. */
  session: Uint8Array<ArrayBuffer> | undefined;
}

const RESULT = record<RecognitionResult>({
  text,
  tokens: list(whole()),
  timestamps: list(real),
  tokenLogProbs: list(logarithm),
  logProb: logarithm,
  words: list(record({ word: text, start: real, end: real })),
  keywords: list(record({ keyword: text, start: real, end: real, score: real })),
  segment: whole(),
  startTime: real,
  isFinal: flag,
});

const CALL = record<StoredCall>({
  sampleRate: whole(),
  samples: whole(),
  results: whole(),
  unheard: list(record<NumberedResult>({ number: whole(), result: RESULT })),
  session: optional(blob),
});

export function writeCall(call: StoredCall): Uint8Array<ArrayBuffer> {
  const to = new SnapshotWriter();
  CALL.write(to, call);
  return seal('RLCL', to.written);
}

/** @throws RillError `bad-snapshot`. */
export function readCall(bytes: Uint8Array): StoredCall {
  const from = unseal('RLCL', bytes);
  const call = CALL.read(from);
  from.end();
  return call;
}
