/** What went wrong, for code that has to tell one case from another. */
export type RillErrorCode =
  | 'bad-argument' // a call was made with values that do not fit
  | 'bad-audio' // an audio file or waveform that cannot be read
  | 'bad-checkpoint' // a checkpoint that is damaged, foreign, hostile or of another network
  | 'bad-model' // a model folder that is damaged or does not fit together
  | 'bad-snapshot' // a stored stream or call that is damaged, or of another model or other options
  | 'network' // a file of a model folder, or the converter, could not be fetched
  | 'busy' // a limit is reached for now: try again later
  | 'closed' // something was used after it was closed
  | 'no-microphone' // there is none, or the page may not listen
  | 'no-webgpu' // this browser or runtime has no WebGPU
  | 'no-adapter' // WebGPU is there, but no adapter
  | 'no-wasm' // WebAssembly with SIMD is missing or forbidden
  | 'no-threads' // threads that share memory cannot be had here
  | 'no-memory' // there is none for weights or a step on the CPU
  | 'shader' // a shader or pipeline did not compile
  | 'worker' // a worker or thread did not start, or ended with an error
  | 'device-lost' // the GPU device went away
  | 'gpu' // the GPU reported another error
  | 'internal'; // a fault of Rill itself

/** The three things every error of Rill states. */
export interface Complaint {
  /** What was found, the name of the thing first: `encoder.conv.0.weight of shape (8, 1, 3, 2)`. */
  got: string;
  expected: string;
  /** What the reader can do about it, a whole sentence. */
  remedy: string;
}

/** The one error type that leaves this library. */
export class RillError extends Error {
  /** Always `RillError`. */
  override readonly name = 'RillError';
  /** What kind of error it is. */
  readonly code: RillErrorCode;
  /** What was found, the name of the thing first. */
  readonly got: string;
  /** What would have been right. */
  readonly expected: string;
  /** What the reader can do about it, a whole sentence. */
  readonly remedy: string;

  /** @internal */
  constructor(code: RillErrorCode, { got, expected, remedy }: Complaint, options?: ErrorOptions) {
    super(`got ${got}; expected ${expected}. ${remedy}`, options);
    this.code = code;
    this.got = got;
    this.expected = expected;
    this.remedy = remedy;
  }
}

const SHOWN_CHARACTERS = 60;
const SHOWN_ITEMS = 8;

/** A value out of an untrusted file as a message shows it: short, whatever the file holds, and never itself an error. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) {
    const items = (value.slice(0, SHOWN_ITEMS) as unknown[]).map((item) => (Array.isArray(item) ? '[…]' : shown(item)));
    return `[${items.join(', ')}${value.length > SHOWN_ITEMS ? ', …' : ''}]`;
  }
  if (typeof value === 'object' && value !== null) {
    return '{…}';
  }
  if (typeof value === 'string') {
    return JSON.stringify(value.length > SHOWN_CHARACTERS ? `${value.slice(0, SHOWN_CHARACTERS)}…` : value);
  }
  return String(value);
}

/**
 * What is being made, or the signal's reason as soon as there is one.
 *
 * @param giveBack what is done with something that is made all the same
 */
export async function unlessAborted<Made>(
  making: Promise<Made>,
  signal: AbortSignal | undefined,
  giveBack: (late: Made) => void = () => undefined,
): Promise<Made> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(new Error('aborted'));
    };
  });
  signal?.addEventListener('abort', abort);
  try {
    return await Promise.race([making, aborted]);
  } catch (error) {
    making.then(giveBack, () => undefined);
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
