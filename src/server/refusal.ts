import { RillError, type Complaint, type RillErrorCode } from '../errors.ts';

/** Why a server refuses a client, or ends its call; a label of the metric `rill_refusals_total`. */
export type RefusalReason =
  | 'unauthorized' // no token, or another one
  | 'full' // as many calls as allowed
  | 'draining' // the server is about to end
  | 'recovering' // the device was lost, and no other is open yet
  | 'too-large' // more bytes than allowed
  | 'too-long' // more seconds of audio than allowed
  | 'slow' // results that are not read
  | 'bad-request'; // what no client of the protocol sends

interface Answer {
  /** Of HTTP. */
  status: number;
  /** Of a WebSocket that is closed for it. */
  closeCode: number;
}

const ANSWERS: Readonly<Record<RefusalReason, Answer>> = {
  unauthorized: { status: 401, closeCode: 1008 },
  full: { status: 503, closeCode: 1013 },
  draining: { status: 503, closeCode: 1012 },
  recovering: { status: 503, closeCode: 1013 },
  'too-large': { status: 413, closeCode: 1009 },
  'too-long': { status: 413, closeCode: 1008 },
  slow: { status: 503, closeCode: 1008 },
  'bad-request': { status: 400, closeCode: 1007 },
};

/** A client that gets no further, in the words and numbers that HTTP and WebSockets have for it. */
export class Refusal extends RillError {
  /** Why. */
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, complaint: Complaint) {
    super(reason === 'full' || reason === 'draining' || reason === 'recovering' ? 'busy' : 'bad-argument', complaint);
    this.reason = reason;
  }

  /** The status of HTTP. */
  get status(): number {
    return ANSWERS[this.reason].status;
  }

  /** The code that a WebSocket is closed with. */
  get closeCode(): number {
    return ANSWERS[this.reason].closeCode;
  }
}

/** The status of HTTP for whatever went wrong. */
export function statusOf(error: unknown): number {
  if (error instanceof Refusal) {
    return error.status;
  }
  const code = error instanceof RillError ? error.code : 'internal';
  return code === 'bad-audio' || code === 'bad-argument' ? 400 : code === 'busy' || code === 'network' ? 503 : 500;
}

/** Of WebSockets: what the client has sent cannot be taken; it may try again later. Others are the server's failures. */
const CLOSE_CODES: Partial<Record<RillErrorCode, number>> = {
  'bad-audio': 1007,
  'bad-argument': 1007,
  'bad-model': 1007,
  'bad-snapshot': 1007,
  busy: 1013,
  network: 1013,
};

/** The code that a WebSocket is closed with for whatever went wrong. */
export function closeCodeOf(error: unknown): number {
  if (error instanceof Refusal) {
    return error.closeCode;
  }
  return CLOSE_CODES[error instanceof RillError ? error.code : 'internal'] ?? 1011;
}

/** What a client is told: Rill's own words, and of anything else only that it happened. */
export function wordsFor(error: unknown): string {
  if (!(error instanceof RillError)) {
    return 'the server has failed; its log says more';
  }
  // How the server reaches its store is not for clients.
  return error.code === 'network' ? 'the store of calls cannot be reached; try again in a few seconds' : error.message;
}
